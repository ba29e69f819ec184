"""The source under attack: whatever lies on the disk, the answer is right or clear, and comes in time."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.domain.errors import (
    InterruptedRunError,
    SourceChangedError,
    SourceNotAllowedError,
    SourceNotFoundError,
    SourceTooManyFilesError,
    StorageUnreachableError,
)
from service.domain.source_uri import SourceUri
from service.sources.local import _LocalReader
from service.sources.opening import check_allowed, open_source
from service.sources.parquet.file_kind import PARQUET
from service.sources.pattern import FileKind
from service.sources.source import Source, SourceFile, StorageAccess
from tests.support.listing import listed

FEW = StorageAccess(max_files=10)
NOBODY = 65534


def opened(path: Path | str, access: StorageAccess = FEW, rest: str = "") -> Source:
    """Open what lies at a path."""
    return open_source(SourceUri.parse(Path(path).as_uri() + rest), access)


def names(path: Path | str, access: StorageAccess = FEW, rest: str = "") -> list[str]:
    """List what lies at a path."""
    with opened(path, access, rest) as source:
        return [file.name for file in listed(source)]


@pytest.mark.parametrize("rest", ["", "/**", "/*/*/*/*/*/*/*/*"])
def test_folders_that_link_to_each_other_are_read_once(tmp_path: Path, rest: str) -> None:
    """Nine folders with links to all others have more paths than anybody can walk, and nine files."""
    folders = [tmp_path / f"folder{number}" for number in range(9)]
    for folder in folders:
        folder.mkdir()
        (folder / f"{folder.name}.parquet").touch()
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other)
    found = names(tmp_path, StorageAccess(max_files=1_000), rest)
    assert sorted(name.rpartition("/")[2] for name in found) == [f"folder{n}.parquet" for n in range(9)]


def test_a_folder_that_two_links_lead_to_is_read_by_the_first(tmp_path: Path) -> None:
    """Its own path comes first, then the links in their order, so that the answer is always the same."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.parquet").touch()
    (tmp_path / "inside").mkdir()
    for link in ("b", "a"):
        (tmp_path / "inside" / link).symlink_to(tmp_path / "outside")
    assert names(tmp_path / "inside") == ["a/x.parquet"]
    assert names(tmp_path) == ["outside/x.parquet"]


@pytest.mark.parametrize(("most", "suffix"), [(9, ".parquet"), (99, ".txt"), (9, "")])
def test_a_folder_with_more_than_the_limit_is_refused(tmp_path: Path, most: int, suffix: str) -> None:
    """Ten files or folders, or ten times as many names of other things, and what can be done about it."""
    (tmp_path / "a.parquet").touch()

    def add(number: int) -> None:
        (tmp_path / f"{number}{suffix}").touch() if suffix else (tmp_path / str(number)).mkdir()

    for number in range(most):
        add(number)
    assert "a.parquet" in names(tmp_path)
    add(most)
    with pytest.raises(SourceTooManyFilesError, match="SOURCE_MAX_FILES"):
        names(tmp_path)


@pytest.mark.parametrize(
    ("length", "levels", "says"), [(1, 500, "more than 64 deep"), (255, 20, "more than 1. deep")]
)
def test_a_tree_without_end_is_refused(tmp_path: Path, length: int, levels: int, says: str) -> None:
    """Five hundred levels are not gone through, nor folders that are deeper than one path can say."""
    with nested(tmp_path, "d" * length, levels), pytest.raises(SourceTooManyFilesError, match=says):
        names(tmp_path, StorageAccess())


@contextmanager
def nested(path: Path, name: str, levels: int) -> Iterator[None]:
    """Make folders in folders, more than a path can name."""
    folder = os.open(path, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=folder)
        below = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    try:
        yield
    finally:
        # Python's own way to remove a tree goes by paths.
        subprocess.run(["rm", "-rf", str(path / name)], check=True)


class Meddling(FileKind):
    """A kind of file that does something else when it is asked about a name."""

    def takes(self, name: str) -> bool:
        """Do it."""
        self.act(name)
        return True

    def act(self, name: str) -> None:
        """Nothing yet."""


def test_a_listing_ends_when_it_is_stopped(tmp_path: Path) -> None:
    """The thread sees the stop before the next name, not when all have been looked at."""
    for number in range(8):
        (tmp_path / str(number)).touch()
    stop, asked = threading.Event(), []

    class Stopping(Meddling):
        def act(self, name: str) -> None:
            asked.append(name)
            stop.set()

    with opened(tmp_path) as source, pytest.raises(InterruptedRunError):
        source.files(Stopping((".parquet",)), stop)
    assert len(asked) == 1


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_disk_that_does_not_answer_is_left_behind(tmp_path: Path, *, is_stopped: bool) -> None:
    """STORAGE_TIMEOUT_S holds for a disk as it does for a bucket, and a stop is heard meanwhile."""
    (tmp_path / "a.parquet").touch()
    answers, stop, walkers = threading.Event(), threading.Event(), dict[str, threading.Thread]()

    class Hanging(Meddling):
        def act(self, name: str) -> None:
            walkers[name] = threading.current_thread()
            if is_stopped:
                stop.set()
            answers.wait()

    access = StorageAccess(timeout_s=60 if is_stopped else 0.2)
    error = InterruptedRunError if is_stopped else StorageUnreachableError
    with opened(tmp_path, access) as source, pytest.raises(error):
        source.files(Hanging((".parquet",)), stop)
    answers.set()
    # What was left behind ends as soon as the disk answers.
    walkers["a.parquet"].join(timeout=10)
    assert not walkers["a.parquet"].is_alive()


async def admitted_and_listed(uri: str, access: StorageAccess) -> None:
    """Do what a door does, and then what a run does."""
    await check_allowed(SourceUri.parse(uri), access)
    with open_source(SourceUri.parse(uri), access) as source:
        listed(source)


@pytest.fixture
def zombie() -> Iterator[Path]:
    """Start a process and leave it unburied: its links in /proc are there and lead nowhere."""
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield Path(f"/proc/{process.pid}/cwd")


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="this system has no /proc")
@pytest.mark.parametrize("allowed", [None, ("file:///proc",)])
async def test_a_link_that_cannot_be_followed_is_no_source(
    zombie: Path, allowed: tuple[str, ...] | None
) -> None:
    """It is an error with a name, in the door and at the listing."""
    access = StorageAccess(allowed_sources=allowed)
    with pytest.raises(SourceNotFoundError):
        await admitted_and_listed(f"{zombie.as_uri()}/", access)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user who may look at no other's process."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="this system has no /proc")
@pytest.mark.parametrize("allowed", [None, ("file:///proc",)])
async def test_a_link_of_somebody_else_is_not_allowed(allowed: tuple[str, ...] | None) -> None:
    """`/proc/1/cwd` is a link that only its owner may follow."""
    access = StorageAccess(allowed_sources=allowed)
    with as_nobody(), pytest.raises(SourceNotAllowedError, match="link"):
        await admitted_and_listed("file:///proc/1/cwd/", access)


def test_a_chain_of_links_is_followed_as_far_as_the_system_does(tmp_path: Path) -> None:
    """Two thousand links one after the other are no source, and no error that nobody foresaw."""
    (tmp_path / "0").mkdir()
    for number in range(2_000):
        (tmp_path / str(number + 1)).symlink_to(tmp_path / str(number))
    with pytest.raises(SourceNotFoundError):
        names(tmp_path / "2000")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/stdin", "/proc/self/fd/0", "/dev/tty"])
def test_devices_are_no_sources(path: str) -> None:
    """What could go on for ever is not begun."""
    with pytest.raises(SourceNotFoundError):
        names(path)


def test_sockets_and_pipes_are_no_files(tmp_path: Path) -> None:
    """Neither by themselves nor in a folder."""
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "zero.parquet").symlink_to("/dev/zero")
    (tmp_path / "a.parquet").touch()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.parquet"))
        assert names(tmp_path) == ["a.parquet"]
        for name in ("pipe.parquet", "socket.parquet", "zero.parquet"):
            with pytest.raises(SourceNotFoundError, match="neither a file nor a folder"):
                names(tmp_path / name)


def test_odd_names_are_read_and_shown_harmlessly(tmp_path: Path) -> None:
    """Line breaks, terminal escapes and broken UTF-8 are escaped in what people see, and only there."""
    for name in (b"a\nb.parquet", b"\x1b[31m.parquet", b"\xff\xfe.parquet", "\u202egnp.parquet".encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    with opened(tmp_path) as source:
        files = listed(source)
        assert sorted(file.name for file in files) == [
            "\\u202egnp.parquet",
            "\\udcff\\udcfe.parquet",
            "\\x1b[31m.parquet",
            "a\\nb.parquet",
        ]
        for file in files:
            with source.open(file) as reader:
                assert reader.file.read() == os.path.basename(os.fsencode(file.path))  # noqa: PTH119


@pytest.mark.parametrize("other", ["pipe", "device", "folder", "socket"])
def test_a_file_swapped_for_something_else_is_not_opened(tmp_path: Path, other: str) -> None:
    """Between listing and opening a file becomes what would wait, or go on, for ever."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    with opened(tmp_path) as source, socket.socket(socket.AF_UNIX) as listening:
        (file,) = listed(source)
        path.unlink()
        match other:
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case "folder":
                path.mkdir()
            case "socket":
                listening.bind(str(path))
        with pytest.raises(SourceChangedError):
            source.open(file)


def test_a_folder_swapped_while_a_file_is_opened_leads_nowhere(tmp_path: Path) -> None:
    """A folder became a link to outside after its path was checked: what is open says where it lies."""
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
    secret = tmp_path / "outside" / "a.parquet"
    secret.write_bytes(b"secret")
    status = secret.stat()
    version = f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
    (tmp_path / "inside" / "swapped").symlink_to(tmp_path / "outside")
    checked = str(tmp_path / "inside" / "swapped" / "a.parquet")
    asked: list[str] = []

    def check(place: str) -> None:
        asked.append(place)
        raise SourceNotAllowedError(place)

    with pytest.raises(SourceNotAllowedError):
        _LocalReader(SourceFile(checked, status.st_size, "a.parquet", version), checked, check)
    assert asked == [str(secret)]


@pytest.mark.parametrize(
    "rest", ["/%2e%2e/%2e%2e/etc/", "/..%2f..%2f..%2fetc/", "/%2e%2e%2foutside", "/inside/../../outside"]
)
async def test_no_spelling_of_a_path_leaves_the_fence(tmp_path: Path, rest: str) -> None:
    """Percent signs are decoded once, before anything is checked."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.parquet").touch()
    access = StorageAccess(allowed_sources=((tmp_path / "inside").as_uri(),))
    uri = SourceUri.parse((tmp_path / "inside").as_uri() + rest)
    with pytest.raises(SourceNotAllowedError):
        await check_allowed(uri, access)
    with pytest.raises(SourceNotAllowedError), open_source(uri, access) as source:
        source.files(PARQUET, threading.Event())


def test_a_percent_sign_that_is_encoded_twice_is_a_name(tmp_path: Path) -> None:
    """`%252e%252e` is a folder called `%2e%2e`, if there is one."""
    with pytest.raises(SourceNotFoundError, match="does not exist"):
        names(tmp_path, rest="/%252e%252e/")
    (tmp_path / "%2e%2e").mkdir()
    (tmp_path / "%2e%2e" / "a.parquet").touch()
    assert names(tmp_path, rest="/%252e%252e/") == ["a.parquet"]
