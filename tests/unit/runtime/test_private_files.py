"""Files that only their owner may read, whatever the umask."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.runtime.private_files import create_private_file, make_private, make_private_folder


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the process have a umask: none, the usual one, or a strict one."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """Return who may do what."""
    return stat.S_IMODE(path.stat().st_mode)


def test_every_folder_that_is_made_is_the_owners(tmp_path: Path) -> None:
    """The missing folders above are made like the last."""
    make_private_folder(tmp_path / "a" / "b")
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """Who made it decides who may look into it."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)
    make_private_folder(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o755


def test_a_file_where_the_folder_should_be_is_an_error(tmp_path: Path) -> None:
    """It is not taken for a folder, neither at the end of the path nor above."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(OSError, match=r"File exists|Not a directory"):
            make_private_folder(folder)


def test_a_file_that_is_made_is_the_owners(tmp_path: Path) -> None:
    """And one that is there keeps what it holds."""
    create_private_file(tmp_path / "x")
    assert mode(tmp_path / "x") == 0o600
    (tmp_path / "x").write_text("kept")
    create_private_file(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "kept"


def test_an_older_file_is_taken_from_everybody_else(tmp_path: Path) -> None:
    """What the owner may do with it stays; a file that is not there is passed over."""
    path = tmp_path / "x"
    path.touch()
    for before, after in ((0o644, 0o600), (0o664, 0o600), (0o555, 0o500), (0o600, 0o600)):
        path.chmod(before)
        make_private(path)
        assert mode(path) == after
    make_private(tmp_path / "missing")


def test_the_file_of_another_user_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root that looks at somebody's ledger does not lock its readers out."""
    path = tmp_path / "x"
    path.touch()
    path.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    make_private(path)
    assert mode(path) == 0o644
