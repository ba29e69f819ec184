"""Parquet: columns that filter are decoded first, the others only where a row of the row group matches."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from service.domain.errors import SchemaMismatchError
from service.log_rules.reading.layout import required
from service.log_rules.rule import LogSource
from service.sources.parquet.batch import READ_BYTES
from service.sources.parquet.footer_validation import check_footer
from service.sources.parquet.scan import footer_of
from service.sources.source import SourceReader

BATCH_ROWS: Final = 1 << 18
_MAGIC: Final = b"PAR1"
_TRAILER: Final = 8


class ParquetLog:
    """One Parquet file; its row groups may be read from several threads, each with a reader of its own."""

    def __init__(
        self, reader: SourceReader, name: str, size: int, source: LogSource, needed: Sequence[str]
    ) -> None:
        """Read the footer; raises SourceNotParquetError, and SchemaMismatchError naming what is missing."""
        end = footer_of(reader.file, size)
        parquet = pq.ParquetFile(pa.BufferReader(_MAGIC + end), pre_buffer=False)
        # Before anything else is asked of the metadata: the library would end the process.
        check_footer(end[:-_TRAILER], name, bounds_of=None)
        self.metadata = parquet.metadata
        names = parquet.schema_arrow.names
        missing = [column for column in required(source, needed) if names.count(column) != 1]
        if missing:
            raise SchemaMismatchError(
                f"{name}: missing, or there more than once: {', '.join(missing)}; "
                f"it has {', '.join(names)[:500]}"
            )
        self._needed = needed
        self._places: dict[str, list[int]] = {name: [] for name in needed}
        for place in range(parquet.metadata.num_columns):
            path = parquet.schema.column(place).path
            self._places.setdefault(path, []).append(place)
        texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
        self._dictionaries = [
            column
            for column in needed
            if column != source.time_column
            and any(is_text(parquet.schema_arrow.field(column).type) for is_text in texts)
        ]

    def opened(self, reader: SourceReader) -> Any:
        """Return what reads row groups of the file, for one thread: `pyarrow.parquet.ParquetFile`."""
        return pq.ParquetFile(
            reader.file,
            metadata=self.metadata,
            read_dictionary=self._dictionaries,
            buffer_size=READ_BYTES,
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
        )

    def decoded_bytes(self, group: int) -> int:
        """Return how many bytes the needed column chunks of a row group have once they are decompressed."""
        row_group = self.metadata.row_group(group)
        places = (place for name in self._needed for place in self._places[name])
        return sum(row_group.column(place).total_uncompressed_size for place in places)

    def ranges(self, group: int, columns: Sequence[str]) -> list[tuple[int, int]]:
        """Return where the column chunks of a row group lie: offset and length."""
        row_group = self.metadata.row_group(group)
        found = []
        for place in (place for name in columns for place in self._places[name]):
            chunk = row_group.column(place)
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                start = min(start, chunk.dictionary_page_offset)
            found.append((start, chunk.total_compressed_size))
        return found


def batches(parquet: Any, group: int, columns: Sequence[str]) -> Iterator[Any]:
    """Yield record batches of one row group, each of at most `BATCH_ROWS` rows, in the file's order.

    Rows may point beyond their dictionaries, as Arrow reads it from damaged pages.
    """
    yield from parquet.iter_batches(
        batch_size=BATCH_ROWS, row_groups=[group], columns=[*columns], use_threads=False
    )
