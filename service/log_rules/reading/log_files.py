"""The files of a log: listed once, told apart by their first bytes, and read part by part in their order."""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from service.domain.errors import (
    InterruptedRunError,
    LogUnreadableError,
    RiskAlertsError,
    SchemaMismatchError,
    SourceChangedError,
    SourceNotFoundError,
    SourceNotParquetError,
)
from service.log_rules.episode import Mask
from service.log_rules.reading.csv_blocks import BLOCK, LONGEST, ROWS, CsvBlocks, RecordTooLongError
from service.log_rules.reading.csv_file import CsvTables, Joined, Malformed, parse_stream
from service.log_rules.reading.layout import Layout, is_blank, layout_of
from service.log_rules.reading.matching import Matcher, RuleMatches
from service.log_rules.reading.parquet_file import ParquetLog, batches
from service.log_rules.rule import LogSource
from service.sources.csv_header import first_record
from service.sources.parquet.file_kind import PARQUET
from service.sources.parquet.text import check_dictionaries, without_views
from service.sources.pattern import FileKind
from service.sources.source import Source, SourceFile, SourceReader

LOG_FILES: Final = FileKind(
    suffixes=(".csv", ".csv.gz", ".csv.zst", *PARQUET.suffixes), tables=PARQUET.tables
)
_TOGETHER: Final = 2
"""Blocks of CSV whose rows are matched at once: parsing one leaves nothing of what matches in the cache."""
_LOOK: Final = 1 << 16
"""Bytes in which the first record of a file must end, for a plan."""
_OPEN_QUOTE: Final = "a quoted value goes on for more than 4 MB: a quote that nothing closes?"
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_SKIPPED: Final = b"\x2a\x4d\x18"
"""Behind a byte from 0x50 to 0x5f it begins a frame of zstd without content, as pzstd writes them first."""


@dataclass(slots=True, kw_only=True)
class Part:
    """Some rows of one file."""

    file: SourceFile
    rows: int = 0
    """Rows that could be read, matched or not."""
    malformed: int = 0
    """Rows with too few or too many columns."""
    matched: int = 0
    """Rows that any rule matches."""
    matches: list[Sequence[RuleMatches]] = field(default_factory=list)
    """By batch, then by rule; batches without a match are left out."""
    values: dict[str, Counter[str]] = field(default_factory=dict)
    """The values of the columns that rules look at, and how many rows have each."""
    newest: int | None = None
    """The latest usable time of a matched row."""

    def take(self, matcher: Matcher, table: Any, rest: Callable[[Any], Any]) -> None:
        """Match the rows of a table; `rest` returns the other columns of the rows in a mask."""
        columns = {name: _whole(table.column(name)) for name in matcher.filters}
        masks, union, values = matcher.masks(columns, table.num_rows)
        self.rows += table.num_rows
        for name, counts in values.items():
            self.values.setdefault(name, Counter()).update(counts)
        if union.any():
            self.add(matcher, masks, union, rest(union))

    def add(self, matcher: Matcher, masks: Any, union: Any, columns: Any) -> None:
        """Take the matching rows of a batch."""
        matches, newest = matcher.matches(columns, masks, union)
        self.matched += int(union.sum())
        self.matches.append(matches)
        if newest is not None:
            self.newest = newest if self.newest is None else max(self.newest, newest)


Task: TypeAlias = Callable[[], Part]
"""Reads a part; for any thread."""


class LogFiles:
    """The files of one source, for as long as one evaluation takes."""

    def __init__(
        self, source: Source, meaning: LogSource, stop: threading.Event, *, block: int = BLOCK
    ) -> None:
        self._source = source
        self._meaning = meaning
        self._stop = stop
        self._block = block
        self.files: Sequence[SourceFile] = ()

    def list(self) -> Sequence[SourceFile]:
        """List the files; raises SourceError."""
        self.files = self._source.files(LOG_FILES, self._stop)
        return self.files

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Hold the source to what was listed: raises SourceChangedError where a file has changed."""
        try:
            yield
        except (SourceNotFoundError, SourceNotParquetError, SchemaMismatchError, LogUnreadableError):
            self._check_unchanged()
            raise
        self._check_unchanged()

    def looked_at(self, file: SourceFile, matcher: Matcher) -> tuple[str, ParquetLog | None]:
        """Return the kind of a file by its first bytes (`csv`, `csv.gz` …), and the footer of a Parquet file.

        Raises SourceError, also where the first record of a CSV file or the footer lacks columns.
        """
        needed = _needed(matcher)
        with _translated(file), self._source.open(file) as reader:
            magic = reader.file.read(4)
            reader.file.seek(0)
            if magic == _PARQUET:
                return "parquet", ParquetLog(reader, file.name, file.size, self._meaning, needed)
            compression = _compression(magic)
            stream = _stream(reader.file, compression)
            first = first_record(stream.read(_LOOK)) if file.size else b""
            if not is_blank(first):
                layout_of(file.name, first, self._meaning, needed)
            return {"gzip": "csv.gz", "zstd": "csv.zst"}.get(compression or "", "csv"), None

    def parts(self, matcher: Matcher) -> Generator[Task]:
        """Yield what reads the files part by part, in their order; raises SourceError."""
        for file in self.files:
            with _translated(file):
                yield from self._parts_of(file, matcher)

    def _parts_of(self, file: SourceFile, matcher: Matcher) -> Iterator[Task]:
        if not file.size:
            return
        with self._source.open(file) as reader:
            if not PARQUET.takes(file.name):
                # What is remote is asked for once, not for its first bytes and then again.
                reader.prefetch([(0, 2 * BLOCK)])
                magic = reader.file.read(4)
                reader.file.seek(0)
                if magic != _PARQUET:
                    yield from self._csv(file, reader, _stream(reader.file, _compression(magic)), matcher)
                    return
            log = ParquetLog(reader, file.name, file.size, self._meaning, _needed(matcher))
        for group in range(log.metadata.num_row_groups):
            yield partial(self._row_group, file, log, group, matcher)

    def _row_group(self, file: SourceFile, log: ParquetLog, group: int, matcher: Matcher) -> Part:
        part = Part(file=file)
        found: list[tuple[Any, Any]] = []
        with _translated(file), self._source.open(file) as reader:
            parquet = log.opened(reader)
            reader.prefetch(log.ranges(group, matcher.filters))
            for batch in batches(parquet, group, matcher.filters):
                self._check_wanted()
                columns = _checked(batch)
                masks, union, values = matcher.masks(columns, batch.num_rows)
                part.rows += batch.num_rows
                for name, counts in values.items():
                    part.values.setdefault(name, Counter()).update(counts)
                found.append((masks, union))
            if not any(union.any() for _, union in found):
                return part
            reader.prefetch(log.ranges(group, matcher.others))
            rest = batches(parquet, group, matcher.others)
            for (masks, union), batch in zip(found, rest, strict=True):
                if union.any():
                    kept = batch if union.all() else batch.filter(_selection(union))
                    part.add(matcher, masks, union, _checked(kept))
        return part

    def _csv(self, file: SourceFile, reader: SourceReader, stream: Any, matcher: Matcher) -> Iterator[Task]:
        def ahead() -> None:
            # What is remote is asked for before it is needed.
            reader.prefetch([(reader.file.tell(), 2 * BLOCK)])

        blocks = CsvBlocks(stream, self._block, ahead)
        csv: CsvTables | None = None
        together: list[memoryview] = []
        for block in blocks:
            self._check_wanted()
            content = block
            if csv is None:
                if is_blank(bytes(block)):
                    continue
                layout = layout_of(file.name, first_record(block[:LONGEST]), self._meaning, _needed(matcher))
                csv = CsvTables(layout, matcher)
                content = block[layout.header_bytes :]
            if len(content):
                together.append(content)
            if len(together) == _TOGETHER:
                yield partial(_parsed, file, together, csv, matcher, blocks.release)
                together = []
        if csv is not None and together:
            yield partial(_parsed, file, together, csv, matcher, blocks.release)
        if blocks.rest is not None:
            yield from self._rest(file, blocks.rest, stream, csv.layout if csv else None, matcher)

    def _rest(
        self, file: SourceFile, rest: bytes, stream: Any, layout: Layout | None, matcher: Matcher
    ) -> Iterator[Task]:
        """Go on where blocks cannot be cut, on one thread."""
        if layout is None:
            layout = layout_of(file.name, first_record(rest), self._meaning, _needed(matcher))
            rest = rest[layout.header_bytes :]
        malformed = Malformed()
        joined = pa.PythonFile(Joined(rest, stream), mode="r")
        for batch in parse_stream(joined, layout, matcher.filters, matcher.others, malformed):
            for first in range(0, batch.num_rows, ROWS):
                self._check_wanted()
                rows = batch.slice(first, ROWS)
                part = Part(file=file)
                part.take(matcher, rows, partial(_rest_of, rows, matcher.others))
                yield partial(_itself, part)
        yield partial(_itself, Part(file=file, malformed=malformed.rows))

    def _check_wanted(self) -> None:
        if self._stop.is_set():
            raise InterruptedRunError("the evaluation was stopped")

    def _check_unchanged(self) -> None:
        try:
            now = set(self._source.files(LOG_FILES, self._stop) if self.files else ())
        except SourceNotFoundError:
            now = set()
        for file in self.files:
            if file not in now:
                raise SourceChangedError(
                    f"{file.name} was replaced or removed while it was being read; run again"
                )


def _needed(matcher: Matcher) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*matcher.filters, *matcher.others)))


def _compression(magic: bytes) -> str | None:
    if magic.startswith(_GZIP):
        return "gzip"
    is_skipped = magic[1:] == _SKIPPED and magic[0] >> 4 == 5  # noqa: PLR2004  # as above
    return "zstd" if magic == _ZSTD or is_skipped else None


def _stream(file: Any, compression: str | None) -> Any:
    return file if compression is None else pa.CompressedInputStream(file, compression)


def _parsed(
    file: SourceFile,
    blocks: Sequence[memoryview],
    csv: CsvTables,
    matcher: Matcher,
    release: Callable[[memoryview], None],
) -> Part:
    with _translated(file):
        table, malformed = csv.table(blocks)
        for block in blocks:
            release(block)
        part = Part(file=file, malformed=malformed)
        part.take(matcher, table, partial(_rest_of, table, matcher.others))
    if 2 * part.matched > part.rows:
        csv.note_dense()
    return part


def _rest_of(table: Any, names: Sequence[str], union: Any) -> dict[str, Any]:
    """Return columns of the rows in a mask, each in one piece."""
    columns = {name: table.column(name) for name in names}
    if not np.asarray(union).all():
        mask = _selection(union)
        columns = {name: column.filter(mask) for name, column in columns.items()}
    return {name: _whole(column) for name, column in columns.items()}


def _checked(batch: Any) -> dict[str, Any]:
    """Return the columns of a batch of Parquet; raises ValueError where a row points beyond a dictionary."""
    check_dictionaries(batch)
    plain = without_views(batch)
    return dict(zip(plain.schema.names, plain.columns, strict=True))


def _selection(union: Mask) -> Any:
    # `pa.array` would load NumPy's masked arrays, to see that it is none.
    bits = pa.py_buffer(np.packbits(union, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), union.size, [None, bits])


def _whole(column: Any) -> Any:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _itself(part: Part) -> Part:
    return part


@contextmanager
def _translated(file: SourceFile) -> Iterator[None]:
    """Turn what Arrow raises into this service's own error; its own pass through."""
    try:
        yield
    except RiskAlertsError:
        raise
    except RecordTooLongError as error:
        raise LogUnreadableError(f"{file.name} cannot be read as CSV: {error}") from error
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, MemoryError) as error:
        said = _OPEN_QUOTE if "straddling" in str(error) else " ".join(str(error).split())[:300]
        raise LogUnreadableError(f"{file.name} cannot be read: {said}") from error
