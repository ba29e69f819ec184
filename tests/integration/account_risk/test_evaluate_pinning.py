"""A source that changes under the scan is an error of its own, never a mixture of two versions."""

import asyncio
import io
import itertools
import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from service.account_risk.evaluate import MonthEvaluation, evaluate
from service.account_risk.options import EvaluationOptions
from service.domain.errors import SourceChangedError
from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.pattern import FileKind
from service.sources.source import Source, SourceFile, SourceReader, StorageAccess
from tests.support.emulators import Emulator
from tests.support.evaluating import JANUARY, row, write
from tests.support.histories import table

GROUPS = 130
"""Row groups enough to be read by three readers, one after the other."""
LONG_AGO = (1_700_000_000, 1_700_000_000)
MOMENTS = ["before a footer", "while a footer is read", "before the rows", "amid the rows", "after the rows"]


class Meddled(Source):
    """A source to which something happens at one moment of its scan."""

    def __init__(self, source: Source, moment: str, meddle: Callable[[], object], *, files: int = 1) -> None:
        self._source = source
        self._moment = moment
        self._meddle = meddle
        self._opened = itertools.count(1)
        self._listed = 0
        self._files = files
        self.meddled = 0

    def files(self, kind: FileKind, stop: threading.Event) -> tuple[SourceFile, ...]:
        """List the files; the second time is after the rows."""
        self._listed += 1
        self._at("after the rows", self._listed == 2)
        return self._source.files(kind, stop)

    def open(self, file: SourceFile) -> SourceReader:
        """Open a file: first once for each footer, then for the row groups, some at once."""
        place = next(self._opened)  # footers are read by several threads
        self._at("before a footer", place == 1)
        self._at("before the rows", place == self._files + 1)
        self._at("amid the rows", place == self._files + 3)
        reader = self._source.open(file)
        self._at("while a footer is read", place == 1)
        return reader

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _at(self, moment: str, now: bool) -> None:  # noqa: FBT001  # a condition, said after its name
        if now and moment == self._moment:
            self.meddled += 1
            self._meddle()


def evaluated(source: Meddled) -> MonthEvaluation:
    """Evaluate on one thread, so that the moments come in their order."""
    with source:
        return asyncio.run(
            evaluate(source, JANUARY, options=EvaluationOptions(threads=1), progress=Progress())
        )


@cache
def content(arr: int, *, groups: int = GROUPS) -> bytes:
    """Return a file of several row groups; those of two amounts are of the same size."""
    sink = io.BytesIO()
    rows = [row(f"a{number:02}", arr=arr) for number in range(groups * 2)]
    pq.write_table(table(rows), sink, row_group_size=2, compression="none", use_dictionary=False)
    return sink.getvalue()


def replaced(path: Path) -> None:
    """Let another file take its name, as careful writers do."""
    other = path.with_name("other")
    other.write_bytes(content(60_000))
    os.utime(other, LONG_AGO)
    other.replace(path)


def overwritten(path: Path) -> None:
    """Write other rows of the same size over it."""
    path.write_bytes(content(60_000))


def appended(path: Path) -> None:
    """Write on at its end."""
    with path.open("ab") as end:
        end.write(b"more")


def truncated(path: Path) -> None:
    """Cut it off in the middle."""
    os.truncate(path, path.stat().st_size // 2)


def touched(path: Path) -> None:
    """Give it the time of now: nobody can tell that its content is the same."""
    path.touch()


def removed(path: Path) -> None:
    """Take it away."""
    path.unlink()


def made_a_pipe(path: Path) -> None:
    """Put something in its place that would be waited for without end."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    "meddle", [replaced, overwritten, appended, truncated, touched, removed, made_a_pipe]
)
def test_a_local_file_that_changes_in_mid_scan_is_noticed(
    tmp_path: Path, meddle: Callable[[Path], None], moment: str
) -> None:
    """Whatever happens to it, and whenever, there is an error and no evaluation."""
    path = tmp_path / "a.parquet"
    path.write_bytes(content(50_000))
    os.utime(path, LONG_AGO)
    source = Meddled(
        open_source(SourceUri.parse(path.as_uri()), StorageAccess()), moment, lambda: meddle(path)
    )
    with pytest.raises(SourceChangedError, match=r"a\.parquet was replaced"):
        evaluated(source)
    assert source.meddled == 1


@pytest.mark.parametrize("moment", [moment for moment in MOMENTS if moment != "amid the rows"])
def test_a_file_of_a_folder_that_changes_in_mid_scan_is_noticed(tmp_path: Path, moment: str) -> None:
    """Also one whose rows had all been read: what is evaluated is what the source is."""
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.parquet", [row(name)])
        os.utime(tmp_path / f"{name}.parquet", LONG_AGO)
    source = Meddled(
        open_source(SourceUri.parse(tmp_path.as_uri()), StorageAccess()),
        moment,
        lambda: overwritten(tmp_path / "b.parquet"),
        files=3,
    )
    with pytest.raises(SourceChangedError, match=r"b\.parquet was replaced"):
        evaluated(source)
    assert source.meddled == 1


def test_a_file_that_comes_in_mid_scan_is_the_next_scan_s(tmp_path: Path) -> None:
    """A folder to which files are added all the time can be evaluated: as it was listed."""
    write(tmp_path / "a.parquet", [row("a")])
    source = Meddled(
        open_source(SourceUri.parse(tmp_path.as_uri()), StorageAccess()),
        "before the rows",
        lambda: write(tmp_path / "b.parquet", [row("b")]),
    )
    assert [alert.account_id for alert in evaluated(source).alerts] == ["a"]
    assert source.meddled == 1


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("into", ["another of the same size", "one that is no Parquet"])
def test_an_object_that_changes_in_mid_scan_is_noticed(
    emulator: Emulator, bucket: str, moment: str, into: str
) -> None:
    """By the precondition where it is heeded; the emulator of GCS ignores it; a second listing tells."""
    # Each row group is a request or two, and few are enough for a moment that comes before or after them all.
    groups = GROUPS if moment == "amid the rows" else 3
    whole = content(50_000, groups=groups)
    other = content(60_000, groups=groups) if into.startswith("another") else bytes(len(whole))
    assert len(other) == len(whole)
    emulator.put(bucket, "t/a.parquet", whole)
    source = Meddled(
        open_source(SourceUri.parse(f"{emulator.kind}://{bucket}/t/a.parquet"), emulator.access()),
        moment,
        lambda: emulator.put(bucket, "t/a.parquet", other),
    )
    with pytest.raises(SourceChangedError, match=r"a\.parquet was replaced"):
        evaluated(source)
    assert source.meddled == 1


def test_what_was_read_is_reported_with_its_versions(tmp_path: Path) -> None:
    """An evaluation knows which files it read, and of each what tells it from its successors."""
    path = write(tmp_path / "a.parquet", [row("a")])
    first, again = (_versions(path) for _ in range(2))
    touched(path)
    assert first == again
    assert [name for name, _ in first] == [str(path)]
    assert _versions(path) != first


def _versions(path: Path) -> tuple[tuple[str, str], ...]:
    source = open_source(SourceUri.parse(path.as_uri()), StorageAccess())
    return evaluated(Meddled(source, "", lambda: None)).source_versions
