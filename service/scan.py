"""The scan: Parquet files become record batches, on as many threads as the plan is given.

Errors of the Parquet reader end here: beyond this module there are only this service's own.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from service.columns import MONTH, schema_problems
from service.errors import InterruptedRunError, RiskAlertsError, SchemaMismatchError, SourceNotParquetError
from service.plan import Batch, Footer, RowGroup
from service.source_reader import Source, SourceFile, SourceReader
from service.text import without_views

_Item = TypeVar("_Item")

BATCH_ROWS: Final = 65_536
_READ_BYTES: Final = 1 << 20
"""How much of a column chunk is read from storage at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """What a scan may use of the machine."""

    threads: int = 2
    memory_limit_mb: int | None = None


class Scan:
    """The files of one source, open for as long as one evaluation takes."""

    def __init__(self, source: Source, *, options: ScanOptions, stop: threading.Event) -> None:
        self._source = source
        self._threads = max(options.threads, 1)
        self._stop = stop
        self._files: tuple[SourceFile, ...] = ()
        self._footers: dict[int, Footer] = {}

    def footers(self) -> list[Footer]:
        """Read the footers of all files; raises SourceError, naming every column that does not fit."""
        self._files = self._source.files()
        self._in_threads(range(len(self._files)), self._read_footer)
        return [self._footers[place] for place in range(len(self._files))]

    def read(
        self,
        groups: Sequence[RowGroup],
        columns: Sequence[str],
        on_batch: Callable[[Batch], None],
        on_group: Callable[[RowGroup], None] = lambda _: None,
    ) -> None:
        """Give every batch of these row groups to `on_batch`, from several threads; raises SourceError."""

        def read_group(group: RowGroup) -> None:
            for batch in self._batches(group, columns):
                if self._stop.is_set():
                    raise InterruptedRunError("the evaluation was stopped")
                on_batch(batch)
            on_group(group)

        self._in_threads(groups, read_group)

    def _read_footer(self, place: int) -> None:
        file = self._files[place]
        with self._open(file) as reader, _translated(file):
            if not file.size:
                raise SourceNotParquetError(f"{file.name} is empty, so it is not a Parquet file")
            parquet = pq.ParquetFile(reader.parquet_input, pre_buffer=False)
            schema = parquet.schema_arrow
            problems = schema_problems(schema)
            if problems:
                raise SchemaMismatchError(f"{file.name} does not fit: {'; '.join(problems)}")
            self._footers[place] = Footer(
                name=file.name,
                metadata=parquet.metadata,
                zoned_months=getattr(schema.field(MONTH).type, "tz", None) is not None,
            )

    def _batches(self, group: RowGroup, columns: Sequence[str]) -> Iterator[Batch]:
        file, footer = self._files[group.file], self._footers[group.file]
        with self._open(file) as reader, _translated(file):
            parquet = pq.ParquetFile(
                reader.parquet_input,
                metadata=footer.metadata,
                read_dictionary=group.dictionaries,
                buffer_size=_READ_BYTES,
                pre_buffer=False,
                coerce_int96_timestamp_unit="us",
            )
            present = set(parquet.schema_arrow.names)
            first_row = 0
            for columns_read in parquet.iter_batches(
                batch_size=BATCH_ROWS,
                row_groups=[group.index],
                columns=[column for column in columns if column in present],
                use_threads=False,
            ):
                yield Batch(group, footer.name, first_row, without_views(columns_read))
                first_row += columns_read.num_rows

    @contextmanager
    def _open(self, file: SourceFile) -> Iterator[SourceReader]:
        with self._source.open(file) as reader:
            yield reader

    def _in_threads(self, items: Sequence[_Item], work: Callable[[_Item], None]) -> None:
        """Do `work` for each of `items`; raises the first error, after all threads have stopped."""
        waiting = iter(items)
        taking = threading.Lock()
        errors: list[BaseException] = []

        def worker() -> None:
            while not errors and not self._stop.is_set():
                with taking:
                    item = next(waiting, None)
                if item is None:
                    return
                try:
                    work(item)
                except BaseException as error:  # noqa: BLE001 - raised again where the threads are joined
                    errors.append(error)

        count = min(self._threads, len(items))
        threads = [threading.Thread(target=worker, name=f"scan-{n}", daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        if self._stop.is_set():
            raise InterruptedRunError("the evaluation was stopped")


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
