"""The footer: what a Parquet file says of itself at its end, and what its folders say of it."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from service.sources.parquet.hive import contradiction
from service.sources.parquet.schema import Kind, SourceSchema

_A_DAY: Final = dt.timedelta(days=1)
_PLAIN_BYTES: Final = 4


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
    rows: int
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
    """Of one batch of the attributes, decoded, about."""
    dictionaries: tuple[str, ...]
    """Text columns that are encoded with a dictionary, so that they are cheaper to read as such."""

    def may_hold(self, first: dt.date, last: dt.date) -> bool:
        """Whether a row of these days, or one without a day, may be in here."""
        if self.first_day is None or self.last_day is None:
            return True
        return self.first_day <= last and first <= self.last_day


def row_groups(file: int, footer: Footer, batch_rows: int) -> Iterator[RowGroup]:
    """Describe the row groups of a file that have any row."""
    schema = footer.schema
    for index in range(footer.metadata.num_row_groups):
        group = footer.metadata.row_group(index)
        if not group.num_rows:
            continue
        chunks = {name: group.column(place) for name, place in footer.places.items()}
        keys = [chunks[name] for name in schema.keys if name in chunks]
        attributes = [chunks[name] for name in schema.attributes if name in chunks]
        first_day, last_day = _days(footer, chunks.get(schema.day))
        share = min(batch_rows / group.num_rows, 1)
        yield RowGroup(
            file=file,
            index=index,
            rows=group.num_rows,
            first_day=first_day,
            last_day=last_day,
            compressed_bytes=sum(chunk.total_compressed_size for chunk in keys),
            attribute_compressed=sum(chunk.total_compressed_size for chunk in attributes),
            key_bytes=_decoded(keys, share),
            attribute_bytes=_decoded(attributes, share),
            dictionaries=tuple(
                name
                for name, chunk in chunks.items()
                if schema.kinds[name] is Kind.TEXT and _is_dictionary(chunk)
            ),
        )


def _range(chunk: Any) -> tuple[int, int]:
    first = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        first = min(first, chunk.dictionary_page_offset)
    return first, chunk.total_compressed_size


def _decoded(chunks: Sequence[Any], share: float) -> int:
    # A dictionary may unfold to more than its chunk: count as many bytes for a value as a number takes.
    return int(share * sum(max(chunk.total_uncompressed_size, 16 * chunk.num_values) for chunk in chunks))


def _is_dictionary(chunk: Any) -> bool:
    """Whether a text chunk has no page of plain values: those take at least the 4 bytes of their length.

    A chunk whose dictionary grew too large goes on in plain pages, and would be slow to read as a dictionary.
    """
    return bool(chunk.has_dictionary_page and chunk.total_uncompressed_size < _PLAIN_BYTES * chunk.num_values)


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
