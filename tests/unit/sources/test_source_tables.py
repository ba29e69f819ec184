"""Folders that are tables of another format: refused by name, as their files also hold what was deleted."""

from pathlib import Path

import pytest

from service.domain.errors import SourceNotFoundError, UnsupportedTableFormatError
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support.listing import listed

DELTA = ("t/a.parquet", "t/month=2026-01-01/b.parquet", "t/_delta_log/00000000000000000000.json")
ICEBERG = ("t/data/a.parquet", "t/data/month=2026-01-01/b.parquet", "t/metadata/00000-4f.metadata.json")
HUDI = ("t/a.parquet", "t/month=2026-01-01/b.parquet", "t/.hoodie/hoodie.properties")


def names(root: Path, rest: str, access: StorageAccess | None = None) -> list[str]:
    """List a source."""
    with open_source(SourceUri.parse(f"{root.as_uri()}/{rest}"), access or StorageAccess()) as source:
        return [file.name for file in listed(source)]


def make(root: Path, *files: str) -> None:
    """Make empty files."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


@pytest.mark.parametrize(
    ("files", "name", "rest"),
    [
        *((DELTA, "Delta Lake", rest) for rest in ("t", "t/", "", "**", "t/*.parquet", "*/a.parquet")),
        *((DELTA, "Delta Lake", rest) for rest in ("t/month=2026-01-01", "t/month=2026-01-01/*")),
        *((ICEBERG, "Apache Iceberg", rest) for rest in ("t", "*", "t/data", "t/data/month=2026-01-01/")),
        *((HUDI, "Apache Hudi", rest) for rest in ("t", "t/month=2026-01-01")),
    ],
)
def test_a_table_is_refused_by_its_formats_name(
    tmp_path: Path, files: tuple[str, ...], name: str, rest: str
) -> None:
    """Whether the source is the table, holds it, or is a part of it; the sentence says where it is."""
    make(tmp_path, *files)
    with pytest.raises(UnsupportedTableFormatError, match=f"{tmp_path}/t is a table of {name}"):
        names(tmp_path, rest)


def test_a_file_of_a_table_may_be_named(tmp_path: Path) -> None:
    """Who names one file means that file."""
    make(tmp_path, *DELTA)
    assert names(tmp_path, "t/a.parquet") == ["a.parquet"]


def test_what_only_looks_like_a_table_is_read(tmp_path: Path) -> None:
    """A folder of one's own called `metadata` or `data`, and a file called `_delta_log`, mean nothing."""
    make(tmp_path, "t/metadata/notes.json", "t/data/a.parquet", "t/metadata.json", "t/_delta_log")
    assert names(tmp_path, "t") == ["data/a.parquet"]
    assert names(tmp_path, "t/data/") == ["a.parquet"]


def test_a_table_that_the_source_does_not_touch_is_no_concern(tmp_path: Path) -> None:
    """A glob that leads past a table reads what it means."""
    make(tmp_path, *DELTA, "plain/b.parquet")
    assert names(tmp_path, "pl*/*") == ["plain/b.parquet"]


def test_the_fence_is_not_looked_over(tmp_path: Path) -> None:
    """Whether there is a log outside of what is allowed cannot be found out."""
    make(tmp_path, *DELTA)
    access = StorageAccess(allowed_sources=(f"{tmp_path.as_uri()}/t/month=2026-01-01",))
    assert names(tmp_path, "t/month=2026-01-01", access) == ["b.parquet"]


def test_parquet_files_have_several_endings(tmp_path: Path) -> None:
    """`.parquet`, `.parq` and `.pq`, in upper case too; what people see names them all."""
    make(tmp_path, "a.parq", "b.pq", "c.PARQUET", "d.Pq", "e.parquet.tmp", "f.csv", "_g.pq", "pq")
    assert names(tmp_path, "") == ["a.parq", "b.pq", "c.PARQUET", "d.Pq"]
    with pytest.raises(SourceNotFoundError, match=r"takes \*\.parquet or \*\.parq or \*\.pq only"):
        names(tmp_path, "*.csv*")
