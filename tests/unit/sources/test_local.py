"""The source on disk: what is listed, what is read, and what is refused."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.domain.errors import SourceNotFoundError
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support.listing import listed


def names(uri: str) -> list[str]:
    """List a source."""
    with open_source(SourceUri.parse(uri), StorageAccess()) as source:
        return [file.name for file in listed(source)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a folder as real writers leave it."""
    for name in (
        "b b.parquet",
        "month=2026-01-01/a.parquet",
        "_temporary/x.parquet",
        "month=2026-01-01/.tmp/x.parquet",
        "_x.parquet",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"a": [1, 2]}), tmp_path / name)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "empty.parquet").touch()
    return tmp_path


def test_a_folder_gives_its_parquet_files_sorted(tree: Path) -> None:
    """Hidden files and folders are left out, `key=value` folders gone into, empty files listed."""
    assert names(tree.as_uri()) == ["b b.parquet", "empty.parquet", "month=2026-01-01/a.parquet"]


def test_a_single_file_may_have_any_name(tree: Path) -> None:
    """A file that is named is read, whatever it is called."""
    assert names((tree / "b b.parquet").as_uri()) == ["b b.parquet"]
    assert names((tree / "_SUCCESS").as_uri()) == ["_SUCCESS"]


def test_a_glob_gives_what_it_matches(tree: Path) -> None:
    """Names are relative to what precedes the first wildcard."""
    assert names(tree.as_uri() + "/month=*/*.parquet") == ["month=2026-01-01/a.parquet"]


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("/nope.parquet", "does not exist"),
        ("/nope/", "does not exist"),
        ("/nope/*.parquet", "does not exist"),
        ("/b b.parquet/x", "does not exist"),
        ("/itself", "does not exist"),
        (f"/{'a' * 300}.parquet", "does not exist"),
        ("/bare", r"without any \*.parquet or \*.parq or \*.pq file"),
        ("/*.csv", "matches no file"),
        ("/pipe", "neither a file nor a folder"),
        ("/notes.txt/", "neither a file nor a folder"),
    ],
)
def test_what_is_not_there_is_said(tree: Path, rest: str, says: str) -> None:
    """Each way of finding nothing has its sentence; a pipe is not waited for."""
    (tree / "bare").mkdir()
    os.mkfifo(tree / "pipe")
    (tree / "itself").symlink_to(tree / "itself")
    with pytest.raises(SourceNotFoundError, match=says):
        names(tree.as_uri() + rest)


def test_a_file_is_read_through_arrow(tree: Path) -> None:
    """The reader's input is what Parquet reads from, and prefetching does no harm."""
    with open_source(SourceUri.parse((tree / "b b.parquet").as_uri()), StorageAccess()) as source:
        (file,) = listed(source)
        with source.open(file) as reader:
            reader.prefetch([(0, file.size)])
            assert pq.ParquetFile(reader.file, pre_buffer=False).read().num_rows == 2


def test_a_file_removed_while_it_is_read_is_read_to_its_end(tree: Path) -> None:
    """An open file is whole even when its name is gone."""
    with open_source(SourceUri.parse((tree / "b b.parquet").as_uri()), StorageAccess()) as source:
        (file,) = listed(source)
        with source.open(file) as reader:
            Path(file.path).unlink()
            assert pq.ParquetFile(reader.file, pre_buffer=False).read().num_rows == 2
