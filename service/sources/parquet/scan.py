"""The scan: Parquet files become record batches, on as many threads as the plan is given.

Errors of the Parquet reader end here: beyond this module there are only this service's own.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from service.domain.errors import (
    InterruptedRunError,
    MonthNotInSourceError,
    RiskAlertsError,
    SchemaMismatchError,
    SourceChangedError,
    SourceNotFoundError,
    SourceNotParquetError,
)
from service.sources.allocation import release_unused
from service.sources.buckets.object_reader import TAIL
from service.sources.parquet.batch import PREFETCH_BYTES, READ_BYTES, Batch, stretches
from service.sources.parquet.file_kind import PARQUET
from service.sources.parquet.footer import Footer, RowGroup
from service.sources.parquet.footer_validation import check_footer
from service.sources.parquet.hive import partition_keys, with_keys
from service.sources.parquet.prefetch import Prefetch
from service.sources.parquet.schema import Kind, SourceSchema
from service.sources.parquet.text import check_dictionaries, without_views
from service.sources.parquet.zones import zone
from service.sources.source import Source, SourceFile, SourceReader

_Item = TypeVar("_Item")

_MAGIC: Final = b"PAR1"
_TRAILER: Final = 8
"""Bytes: the footer's length, and the magic again."""

_FOOTER_THREADS: Final = 16
"""Footers are small: what they cost is waiting for remote storage."""


class Scan:
    """The files of one source, for as long as one evaluation takes."""

    def __init__(self, source: Source, schema: SourceSchema, *, threads: int, stop: threading.Event) -> None:
        self._source = source
        self._schema = schema
        self._threads = max(threads, 1)
        self._stop = stop
        self._files: dict[int, SourceFile] = {}
        self._footers: dict[int, Footer] = {}

    def footers(self) -> list[Footer]:
        """Read the footers of all files; raises SourceError, naming every column that does not fit."""
        self._files = dict(enumerate(self._source.files(PARQUET, self._stop)))
        self._in_threads(range(len(self._files)), self._read_footer, min(_FOOTER_THREADS, len(self._files)))
        return [self._footers[place] for place in range(len(self._files))]

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """Path and version of every file, as it was listed before its footer was read."""
        return tuple((file.path, file.version) for file in self._files.values())

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Hold the source to what was listed: raises SourceChangedError where a file has changed meanwhile.

        Every read is of the listed version, as far as its storage can promise that. Afterwards the source is
        listed again, also where the bytes made no sense: they may have been those of two versions. Files that
        have come since are the next scan's.
        """
        try:
            yield
        except (SourceNotFoundError, SourceNotParquetError, SchemaMismatchError, MonthNotInSourceError):
            self._check_unchanged()
            raise
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        try:
            now = set(self._source.files(PARQUET, self._stop) if self._files else ())
        except SourceNotFoundError:
            now = set()
        for file in self._files.values():
            if file not in now:
                raise SourceChangedError(
                    f"{file.name} was replaced or removed while it was being read; run again"
                )

    def adopt(self, files: Mapping[int, SourceFile], footers: Mapping[int, Footer]) -> None:
        """Take over what another scan of the same source has found, or the part of it that is to be read."""
        self._files.update(files)
        self._footers.update(footers)

    def found(self, groups: Iterable[RowGroup]) -> tuple[dict[int, SourceFile], dict[int, Footer]]:
        """Return what another scan must adopt to read these row groups."""
        files = sorted({group.file for group in groups})
        return {file: self._files[file] for file in files}, {file: self._footers[file] for file in files}

    def read(
        self,
        groups: Sequence[RowGroup],
        columns: Sequence[str],
        on_batch: Callable[[Batch], None],
        on_group: Callable[[RowGroup], None] = lambda _: None,
        *,
        go_on: Callable[[], bool] = lambda: True,
        few_rows: bool = False,
    ) -> int:
        """Give every batch of these row groups to `on_batch`, from several threads.

        After the first ones it asks each time whether to `go_on`; returns how many row groups it read. Where
        a `few_rows` of each batch are taken, these are checked when they are. Raises SourceError.
        """
        parts = stretches(groups)
        # With fewer of them than threads, the columns of one are decoded side by side, and one thread takes
        # in a batch while another has the next one decoded.
        by_column = len(parts) < self._threads
        threads_of_part = -(-self._threads // max(len(parts), 1))
        opened = _Ahead(self, parts, columns, self._threads)

        def read_part(place: int) -> None:
            reader, prefetch = opened.take(place)
            with reader:
                asked = parts[place], columns, reader, prefetch
                batches = self._batches(*asked, by_column=by_column, few_rows=few_rows)
                self._in_threads(batches, on_batch, threads_of_part)
            for group in parts[place]:
                on_group(group)

        begun = 0

        def places() -> Iterator[int]:
            nonlocal begun
            while begun < len(parts) and (not begun or go_on()):
                begun += 1
                yield begun - 1

        try:
            self._in_threads(places(), read_part, min(self._threads, len(parts)))
        finally:
            opened.close()
            release_unused()
        return sum(map(len, parts[:begun]))

    def open(self, groups: Sequence[RowGroup], columns: Sequence[str]) -> tuple[SourceReader, Prefetch]:
        """Open the file of these row groups, and begin to fetch what will be read of it."""
        file = groups[0].file
        reader = self._source.open(self._files[file])
        ranges = [part for group in groups for part in self._footers[file].ranges(group.index, columns)]
        rows = sum(group.rows for group in groups)
        return reader, Prefetch(reader, ranges, rows=rows, at_most=PREFETCH_BYTES)

    def _read_footer(self, place: int) -> None:
        file = self._files[place]
        with self._source.open(file) as reader, _translated(file):
            if not file.size:
                raise SourceNotParquetError(f"{file.name} is empty, so it is not a Parquet file")
            end = footer_of(reader.file, file.size)
            parquet = pq.ParquetFile(pa.BufferReader(_MAGIC + end), pre_buffer=False)
            wanted = self._schema
            places = wanted.places(parquet.schema)
            # Before anything else is asked of the metadata.
            texts = check_footer(
                end[:-_TRAILER],
                file.name,
                bounds_of=places.get(wanted.day),
                texts=[place for name, place in places.items() if wanted.kinds[name] is Kind.TEXT],
            )
            schema = parquet.schema_arrow
            keys = partition_keys(file.path, file.name, wanted, own=schema.names)
            problems = wanted.problems(schema, keys)
            if problems:
                raise SchemaMismatchError(f"{file.name} does not fit: {'; '.join(problems)}")
            day_type = schema.field(wanted.day).type if wanted.day in schema.names else None
            day_zone = getattr(day_type, "tz", None)
            self._footers[place] = Footer(
                name=file.name,
                metadata=parquet.metadata,
                schema=wanted,
                places=places,
                day_zone=zone(day_zone) if day_zone else None,
                texts=texts,
                keys=keys,
            )

    def _batches(
        self,
        groups: Sequence[RowGroup],
        columns: Sequence[str],
        reader: SourceReader,
        prefetch: Prefetch,
        *,
        by_column: bool,
        few_rows: bool,
    ) -> Iterator[Batch]:
        file, footer = self._files[groups[0].file], self._footers[groups[0].file]
        # Nothing here looks at a row of them, as it does to join batches, or to compare them with a folder.
        unchecked = few_rows and len(groups) == 1 and not footer.keys
        with _translated(file):
            parquet = pq.ParquetFile(
                reader.file,
                metadata=footer.metadata,
                read_dictionary=groups[0].dictionaries,
                buffer_size=READ_BYTES,
                pre_buffer=False,
                page_checksum_verification=True,
                coerce_int96_timestamp_unit="us",
            )
            present = set(parquet.schema_arrow.names)
            wanted = [column for column in columns if column in present]

            def batches() -> Iterator[Any]:
                for group in groups:
                    rows = 0
                    for batch in parquet.iter_batches(
                        batch_size=group.rows_to_take_from if few_rows else group.batch_rows,
                        row_groups=[group.index],
                        columns=wanted,
                        use_threads=by_column,
                    ):
                        rows += batch.num_rows
                        yield batch if unchecked else check_dictionaries(batch)
                    if rows != group.rows:
                        raise SourceNotParquetError(f"{file.name} has {rows} rows where it says {group.rows}")

            first_row = groups[0].first_row
            for batch in batches() if len(groups) == 1 else [pa.concat_batches(list(batches()))]:
                prefetch.reached(first_row - groups[0].first_row + batch.num_rows)
                columns_of = with_keys(without_views(batch), footer.keys, columns, footer.name, footer.schema)
                yield Batch(groups[0].file, footer.name, first_row, columns_of)
                first_row += batch.num_rows

    def _in_threads(self, items: Iterable[_Item], work: Callable[[_Item], None], threads: int) -> None:
        """Do `work` for each of `items`; raises the first error, after all threads have stopped."""
        waiting = iter(items)
        taking = threading.Lock()
        errors: list[BaseException] = []

        def worker() -> None:
            try:
                while not errors and not self._stop.is_set():
                    with taking:
                        item = next(waiting, None)
                    if item is None:
                        return
                    work(item)
            except BaseException as error:  # noqa: BLE001 - raised again where the threads are joined
                errors.append(error)

        helpers = [threading.Thread(target=worker, name=f"scan-{n}", daemon=True) for n in range(1, threads)]
        for thread in helpers:
            thread.start()
        worker()
        for thread in helpers:
            thread.join()
        if errors:
            raise errors[0]
        if self._stop.is_set():
            raise InterruptedRunError("the evaluation was stopped")


class _Ahead:
    """What is opened before its turn, so that remote storage answers while other row groups are decoded."""

    def __init__(
        self, scan: Scan, parts: Sequence[Sequence[RowGroup]], columns: Sequence[str], ahead: int
    ) -> None:
        self._scan = scan
        self._parts = parts
        self._columns = columns
        self._ahead = ahead
        self._opening = threading.Lock()
        self._next = 0
        self._opened: dict[int, tuple[SourceReader, Prefetch]] = {}

    def take(self, place: int) -> tuple[SourceReader, Prefetch]:
        """Return the reader of one part, which is the caller's to close, and its prefetch."""
        with self._opening:
            while self._next < len(self._parts) and self._next <= place + self._ahead:
                self._opened[self._next] = self._scan.open(self._parts[self._next], self._columns)
                self._next += 1
            return self._opened.pop(place)

    def close(self) -> None:
        """Close what nobody took, because another part failed."""
        while self._opened:
            self._opened.popitem()[1][0].close()


def footer_of(file: pa.NativeFile, size: int) -> bytes:
    """Return a file's footer and what follows it; all the file, where it has none."""

    def tail(length: int) -> bytes:
        file.seek(size - length)
        content: bytes = file.read(length)
        return content

    end = tail(min(size, TAIL))
    length = int.from_bytes(end[-_TRAILER : -len(_MAGIC)], "little") + _TRAILER
    if length > size - len(_MAGIC) or not end.endswith(_MAGIC):
        return end
    return end[-length:] if length <= len(end) else tail(length)


@contextmanager
def _translated(file: SourceFile) -> Iterator[None]:
    """Turn what the Parquet reader raises into this service's own error; its own pass through."""
    try:
        yield
    except RiskAlertsError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, MemoryError) as error:
        said = " ".join(str(error).split())[:300]
        raise SourceNotParquetError(f"{file.name} cannot be read as Parquet: {said}") from error
