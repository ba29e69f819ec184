"""The scan plan: from the footers alone, what is read, in which order, and what is not."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.alert import Criteria
from service.columns import KEYS, KINDS, MONTH, Kind
from service.month import Month

_A_DAY: Final = dt.timedelta(days=1)
_PLAIN_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What a Parquet file says about itself at its end."""

    name: str
    """Path inside the source."""
    metadata: Any
    """`pyarrow.parquet.FileMetaData`."""
    zoned_months: bool = False
    """Whether months carry a time zone, so that their statistics, in UTC, may be a day off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """One row group, the unit that is read."""

    file: int
    """Place of the file in the source's list."""
    index: int
    rows: int
    first_day: dt.date | None
    """Statistics of the month; None where there are none to rely on, or a month is null."""
    last_day: dt.date | None
    compressed_bytes: int
    """Of the columns that the fold reads."""
    dictionaries: tuple[str, ...]
    """Text columns whose values are told by a dictionary, so that they are cheaper to read as such."""

    def may_hold(self, first: dt.date, last: dt.date) -> bool:
        """Whether a row of these days, or one without a month, may be in here."""
        if self.first_day is None or self.last_day is None:
            return True
        return self.first_day <= last and first <= self.last_day


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one row group, as they are read."""

    group: RowGroup
    file_name: str
    """Path inside the source."""
    first_row: int
    """Place of the first of these rows in its row group."""
    columns: Any
    """`pyarrow.RecordBatch`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What is read, in this order: where the target month may be, then the rest of the window."""

    with_target: tuple[RowGroup, ...]
    """Rows of the target month may be in these."""
    before_target: tuple[RowGroup, ...]
    """Only earlier months of the window, newest first."""
    skipped: tuple[RowGroup, ...]
    """Wholly outside the window, as their statistics say."""
    rows: int
    """In the source, read or not."""
    months: int
    """How many months back from the target, itself included, the window can have any row."""
    months_with_target: int
    """The same in those row groups where the target month may be."""

    @property
    def rows_skipped(self) -> int:
        """How many rows are outside the window without having been looked at."""
        return sum(group.rows for group in self.skipped)


def plan_scan(footers: Sequence[Footer], criteria: Criteria) -> ScanPlan:
    """Decide what is read from these files."""
    first, target, last = (
        criteria.first_month.first_day,
        criteria.month.first_day,
        criteria.month.last_day,
    )
    groups = [group for file, footer in enumerate(footers) for group in _row_groups(file, footer)]
    within = [group for group in groups if group.may_hold(first, last)]
    with_target = [group for group in within if group.may_hold(target, last)]
    return ScanPlan(
        with_target=tuple(with_target),
        before_target=tuple(
            sorted(
                (group for group in within if not group.may_hold(target, last)),
                key=lambda group: group.last_day or dt.date.max,
                reverse=True,
            )
        ),
        skipped=tuple(group for group in groups if not group.may_hold(first, last)),
        rows=sum(group.rows for group in groups),
        months=_months(within, criteria),
        months_with_target=_months(with_target, criteria),
    )


def _months(groups: Iterable[RowGroup], criteria: Criteria) -> int:
    earliest = min((group.first_day or dt.date.min for group in groups), default=criteria.month.first_day)
    first = max(Month.of(earliest), criteria.first_month)
    return max(criteria.month.index - first.index, 0) + 1


def _row_groups(file: int, footer: Footer) -> Iterable[RowGroup]:
    metadata = footer.metadata
    if not metadata.num_row_groups:
        return
    one = metadata.row_group(0)
    places = {one.column(place).path_in_schema: place for place in range(one.num_columns)}
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if not group.num_rows:
            continue
        chunks = [group.column(places[key]) for key in KEYS]
        first_day, last_day = _days(group.column(places[MONTH]), zoned=footer.zoned_months)
        yield RowGroup(
            file=file,
            index=index,
            rows=group.num_rows,
            first_day=first_day,
            last_day=last_day,
            compressed_bytes=sum(chunk.total_compressed_size for chunk in chunks),
            dictionaries=tuple(
                name
                for name, kind in KINDS.items()
                if kind is Kind.TEXT and name in places and _is_all_dictionary(group.column(places[name]))
            ),
        )


def _is_all_dictionary(chunk: Any) -> bool:
    """Whether a text chunk has no page of plain values: those take at least the 4 bytes of their length.

    A chunk whose dictionary grew too large goes on in plain pages, and would be slow to read as a dictionary.
    """
    return bool(chunk.has_dictionary_page and chunk.total_uncompressed_size < _PLAIN_BYTES * chunk.num_values)


def _days(months: Any, *, zoned: bool) -> tuple[dt.date | None, dt.date | None]:
    """Return the first and last day that a column chunk can hold; None for both unless it is certain."""
    statistics = months.statistics
    if statistics is None or not statistics.has_min_max or not statistics.has_null_count:
        return None, None
    if statistics.null_count:
        return None, None
    try:
        first, last = _day(statistics.min), _day(statistics.max)
        return (first - _A_DAY, last + _A_DAY) if zoned else (first, last)
    except (OverflowError, ValueError, TypeError):
        # Beyond what a date can say: not worth being clever about.
        return None, None


def _day(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    raise TypeError(type(value))
