"""The footer: what a Parquet file says of itself at its end, and what its folders say of it."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from service.sources.parquet.footer_validation import TextChunk, TextChunks
from service.sources.parquet.hive import contradiction
from service.sources.parquet.schema import Kind, SourceSchema

_A_DAY: Final = dt.timedelta(days=1)
_PLAIN_BYTES: Final = 4
_LONG_TEXT: Final = 256
"""Bytes of a text on the average."""
BATCH_ROWS: Final = 131_072
"""So many rows are decoded, and then folded, at once, unless their texts are long."""
BATCH_BYTES: Final = 32 << 20
"""So much is decoded at once."""
_ROWS_TO_TAKE_FROM: Final = 2 * BATCH_ROWS
"""The same where only a few of the rows are taken: then it is batches that cost, not rows."""
_FEWEST_ROWS: Final = 16
"""However long a footer says that texts are: if it is wrong, a batch for each row would take for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """One file's metadata."""

    name: str
    """Path inside the source."""
    metadata: Any
    """`pyarrow.parquet.FileMetaData`."""
    schema: SourceSchema
    """What is wanted of the file."""
    places: Mapping[str, int]
    """At which place each wanted column stands in every row group."""
    day_zone: dt.tzinfo | None = None
    """On whose wall the schema's day is the day that it is; None where it carries no zone."""
    texts: TextChunks = field(default_factory=dict)
    """How long texts are, as far as the writer said."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Columns that the names of its folders give (Hive), as Arrow scalars."""

    def ranges(self, row_group: int, columns: Iterable[str]) -> list[tuple[int, int]]:
        """Return where in the file the chunks of these columns lie, as offsets and lengths."""
        group = self.metadata.row_group(row_group)
        return [_range(group.column(self.places[name])) for name in columns if name in self.places]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """One row group, the unit that is read."""

    file: int
    """Place of the file in the source's list."""
    index: int
    first_row: int
    """Place of its first row in the file."""
    rows: int
    batch_rows: int
    """How many rows are decoded, and then folded, at once."""
    rows_to_take_from: int
    """The same for attributes, where only a few of the rows are taken."""
    first_day: dt.date | None
    """Statistics of the schema's day; None where there are none to rely on, or a day is null."""
    last_day: dt.date | None
    compressed_bytes: int
    """Of the schema's keys, which are read of every row."""
    attribute_compressed: int
    """Of the schema's attributes, which are read of some rows."""
    key_bytes: int
    """Of one batch of the keys, decoded, about."""
    attribute_bytes: int
    """Of one batch of the attributes, decoded, about: of `rows_to_take_from`."""
    dictionaries: tuple[str, ...]
    """Text columns that are read as what they are encoded with, a dictionary."""

    @property
    def end_row(self) -> int:
        """Place behind its last row in the file."""
        return self.first_row + self.rows

    def may_hold(self, first: dt.date, last: dt.date) -> bool:
        """Whether a row of these days, or one without a day, may be in here."""
        if self.first_day is None or self.last_day is None:
            return True
        return self.first_day <= last and first <= self.last_day


def row_groups(file: int, footer: Footer) -> Iterator[RowGroup]:
    """Describe the row groups of a file that have any row."""
    schema = footer.schema
    first_row = 0
    for index in range(footer.metadata.num_row_groups):
        group = footer.metadata.row_group(index)
        if not group.num_rows:
            continue
        chunks = {name: group.column(place) for name, place in footer.places.items()}
        sizes = {name: _size(footer, index, name, chunk) for name, chunk in chunks.items()}
        keys = [name for name in schema.keys if name in chunks]
        attributes = [name for name in schema.attributes if name in chunks]
        first_day, last_day = _days(footer, chunks.get(schema.day))
        bytes_per_row = max(1, sum(size.by_row for size in sizes.values()) // group.num_rows)
        batch_rows = max(_FEWEST_ROWS, min(BATCH_ROWS, BATCH_BYTES // bytes_per_row))
        rows_to_take_from = max(batch_rows, min(_ROWS_TO_TAKE_FROM, BATCH_BYTES // bytes_per_row))
        share, share_to_take_from = (
            min(rows / group.num_rows, 1) for rows in (batch_rows, rows_to_take_from)
        )
        yield RowGroup(
            file=file,
            index=index,
            first_row=first_row,
            rows=group.num_rows,
            batch_rows=batch_rows,
            rows_to_take_from=rows_to_take_from,
            first_day=first_day,
            last_day=last_day,
            compressed_bytes=sum(chunks[name].total_compressed_size for name in keys),
            attribute_compressed=sum(chunks[name].total_compressed_size for name in attributes),
            key_bytes=sum(sizes[name].of_batch(share) for name in keys),
            attribute_bytes=sum(sizes[name].of_batch(share_to_take_from) for name in attributes),
            dictionaries=tuple(name for name, size in sizes.items() if size.dictionary is not None),
        )
        first_row += group.num_rows


@dataclass(frozen=True, slots=True)
class _Size:
    """How many bytes a column chunk has when it is decoded, about."""

    by_row: int
    """Of what there is for each row."""
    dictionary: int | None = None
    """Of the dictionary, if it is a text chunk that is read as one."""

    def of_batch(self, share: float) -> int:
        """Return the bytes of a batch with a share of the rows."""
        return int(share * self.by_row) + (self.dictionary or 0)


def _size(footer: Footer, row_group: int, name: str, chunk: Any) -> _Size:
    rows, size = chunk.num_values, chunk.total_uncompressed_size
    # A dictionary may unfold to more than its chunk: count as many bytes for a value as a number takes.
    plain = max(size, 16 * rows)
    if footer.schema.kinds[name] is not Kind.TEXT:
        return _Size(plain)
    text = footer.texts.get((row_group, footer.places[name]), TextChunk(None, by_dictionary=False))
    unfolds = text.by_dictionary if text.size is None else text.size > max(_LONG_TEXT * rows, 4 * size)
    # A chunk without any page of plain values, which take at least the 4 bytes of their lengths, is cheaper
    # to read as a dictionary; others are not, but long texts must not unfold to one for each row.
    if chunk.has_dictionary_page and (size < _PLAIN_BYTES * rows or unfolds):
        return _Size(_PLAIN_BYTES * rows, size)
    return _Size(max(plain, (text.size or 0) + _PLAIN_BYTES * rows))


def _range(chunk: Any) -> tuple[int, int]:
    first = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        first = min(first, chunk.dictionary_page_offset)
    return first, chunk.total_compressed_size


def _days(footer: Footer, chunk: Any) -> tuple[dt.date | None, dt.date | None]:
    """Return the first and last day that a row group can hold; None for both unless it is certain.

    Raises SchemaMismatchError if the file's folder says another day.
    """
    column = footer.schema.day
    given = footer.keys[column].as_py() if column in footer.keys else None
    if chunk is None:
        return given, given
    first, last = _bounds(chunk.statistics, footer.day_zone)
    if first is None or last is None or first > last:
        return None, None
    if column in footer.keys and not first == given == last:
        # A row group that the folder lets go unread must not hide it.
        raise contradiction(footer.name, column, given)
    if footer.day_zone is None:
        return first, last
    # Where the clocks were turned back over midnight, a later instant has an earlier day.
    return max(first, dt.date.min + _A_DAY) - _A_DAY, min(last, dt.date.max - _A_DAY) + _A_DAY


def _bounds(statistics: Any, zone: dt.tzinfo | None) -> tuple[dt.date, dt.date] | tuple[None, None]:
    if statistics is None or not statistics.has_min_max or not statistics.has_null_count:
        return None, None
    if statistics.null_count:
        return None, None
    try:
        return _day(statistics.min, zone), _day(statistics.max, zone)
    except (OverflowError, ValueError, TypeError):
        # Beyond what a date can say: not worth being clever about.
        return None, None


def _day(value: Any, zone: dt.tzinfo | None) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date() if zone is None else value.astimezone(zone).date()
    if isinstance(value, dt.date):
        return value
    raise TypeError(type(value))
