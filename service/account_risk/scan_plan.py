"""The scan plan: from the footers alone, what is read, in which order, and what is not."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from service.account_risk.account_at_risk import Criteria
from service.account_risk.schema import ACCOUNT_ROWS
from service.domain.month import Month
from service.sources.parquet.batch import PREFETCH_BYTES, READ_BYTES, stretches
from service.sources.parquet.footer import BATCH_ROWS, Footer, RowGroup, row_groups

_MEGABYTE: Final = 1 << 20
LARGE_GROUP: Final = 2_000_000
"""Row groups of more rows that may hold the target month are read with all columns at once."""
_NUMBERS_PER_ROW: Final = 20
"""Of 8 bytes, held at most at once for each row of a batch while it is folded."""
PROCESS_BYTES: Final = 160 * _MEGABYTE
"""What the service takes before it reads anything, its libraries loaded and its database open."""
_INDEX_BYTES: Final = 90
"""Of the account index, for each account at most, also while it grows."""
_ALERT_BYTES: Final = 2_000
"""For each account At Risk: its rows noted, its attributes, its alert and what is decided about it."""
_NUMBER: Final = 8
"""Bytes of a cell whose instants are no whole seconds."""


class Skipped(StrEnum):
    """Why a row group is not read."""

    NEWER = "newer than the target month"
    OLDER = "older than the window"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What is read, in this order: where the target month may be, then earlier months, newest first."""

    criteria: Criteria
    files: int
    with_target: tuple[RowGroup, ...]
    """Rows of the target month may be in these."""
    before_target: tuple[RowGroup, ...]
    """Only earlier months of the window."""
    skipped: tuple[RowGroup, ...]
    """Wholly outside the window, as their statistics say."""
    rows: int
    """In the source, read or not."""
    months: int
    """How many months back from the target, itself included, the window can have any row."""
    months_with_target: int
    """The same in those row groups where the target month may be."""
    threads: int

    @property
    def rows_skipped(self) -> int:
        """How many rows are outside the window without having been looked at."""
        return sum(group.rows for group in self.skipped)

    @property
    def reading_bytes(self) -> int:
        """An upper bound of the memory for reading and folding batches, whatever the number of rows."""
        parts = stretches(self.with_target) + stretches(self.before_target)
        batch = max((_batch_bytes(groups) for groups in parts), default=0)
        compressed = max((sum(group.compressed_bytes for group in groups) for groups in parts), default=0)
        ahead = min(compressed, PREFETCH_BYTES)
        # Of each column a piece of the file, a decompressed page (1 MiB by writers' default) and a batch.
        columns = len(ACCOUNT_ROWS.kinds) * (READ_BYTES + _MEGABYTE)
        return self.threads * (2 * batch + ahead + columns + BATCH_ROWS * 8 * _NUMBERS_PER_ROW)

    @property
    def bytes_per_account(self) -> int:
        """An upper bound of the memory that each account takes; how many there are, no footer says."""
        # One month more, for the one whose room is being enlarged.
        cells = _NUMBER * (self.months_with_target + 1)
        marks_and_rank = self.months + 1 + 4 if self.before_target else 0
        return _INDEX_BYTES + cells + marks_and_rank

    @property
    def bytes_at_risk(self) -> int:
        """The same on top of it for each account with an At Risk row of the target month."""
        return _ALERT_BYTES + (_NUMBER * self.months if self.before_target else 0)

    def summary(self) -> dict[str, Any]:
        """Return the plan as plain values for JSON."""
        read = (*self.with_target, *self.before_target)
        return {
            "files": self.files,
            "rows": self.rows,
            "row_groups": {
                "with_target_month": len(self.with_target),
                "earlier_months": len(self.before_target),
                "skipped": dict(Counter(str(self._why_skipped(group)) for group in self.skipped)),
                "without_usable_statistics": sum(group.first_day is None for group in read),
            },
            "rows_read": sum(group.rows for group in read),
            "rows_skipped": self.rows_skipped,
            "months": self.months,
            "columns": {
                "every_row": list(ACCOUNT_ROWS.keys),
                "alerting_accounts": list(ACCOUNT_ROWS.attributes),
            },
            "compressed_bytes": {
                "every_row": sum(group.compressed_bytes for group in read),
                "alerting_accounts_at_most": sum(group.attribute_compressed for group in self.with_target),
                "skipped": sum(group.compressed_bytes for group in self.skipped),
            },
            "memory_bytes": {
                "process": PROCESS_BYTES,
                "reading": self.reading_bytes,
                "each_account": self.bytes_per_account,
                "each_account_at_risk": self.bytes_at_risk,
            },
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        summary = self.summary()
        groups, sizes = summary["row_groups"], summary["compressed_bytes"]
        keys, attributes = ", ".join(ACCOUNT_ROWS.keys), ", ".join(ACCOUNT_ROWS.attributes)
        window = f"{self.criteria.first_month} to {self.criteria.month}"
        yield f"{self.files} files, {self.rows:,} rows; the window is {window}"
        yield f"1. {groups['with_target_month']} row groups where the target month may be: {keys}"
        yield f"2. {groups['earlier_months']} row groups of earlier months, newest first: the same columns"
        yield f"   {_megabytes(sizes['every_row'])} compressed, {summary['rows_read']:,} rows"
        yield (
            f"3. of the row groups in 1., those with alerting accounts: {attributes}, "
            f"at most {_megabytes(sizes['alerting_accounts_at_most'])}"
        )
        for reason, count in groups["skipped"].items():
            yield f"not read: {count} row groups {reason}"
        if groups["without_usable_statistics"]:
            yield f"read for want of statistics: {groups['without_usable_statistics']} row groups"
        yield (
            f"memory: at most {_megabytes(PROCESS_BYTES)} for the process, "
            f"{_megabytes(self.reading_bytes)} to read on {self.threads} threads, "
            f"{self.bytes_per_account:,} bytes for each account, "
            f"and {self.bytes_at_risk:,} more for each that is At Risk"
        )

    def _why_skipped(self, group: RowGroup) -> Skipped:
        newer = group.first_day is not None and group.first_day > self.criteria.month.last_day
        return Skipped.NEWER if newer else Skipped.OLDER


def plan_scan(footers: Sequence[Footer], criteria: Criteria, *, threads: int = 1) -> ScanPlan:
    """Decide what is read from these files."""
    first, target = criteria.first_month.first_day, criteria.month.first_day
    last = criteria.month.last_day
    groups = [group for file, footer in enumerate(footers) for group in row_groups(file, footer)]
    within = [group for group in groups if group.may_hold(first, last)]
    with_target = [group for group in within if group.may_hold(target, last)]
    before = [group for group in within if not group.may_hold(target, last)]
    return ScanPlan(
        criteria=criteria,
        files=len(footers),
        with_target=tuple(with_target),
        before_target=tuple(sorted(before, key=lambda group: group.last_day or last, reverse=True)),
        skipped=tuple(group for group in groups if not group.may_hold(first, last)),
        rows=sum(group.rows for group in groups),
        months=_months(within, criteria),
        months_with_target=_months(with_target, criteria),
        threads=threads,
    )


def _batch_bytes(groups: Sequence[RowGroup]) -> int:
    keys = sum(group.key_bytes for group in groups)
    attributes = sum(group.attribute_bytes for group in groups)
    return keys + attributes if groups[0].rows > LARGE_GROUP else max(keys, attributes)


def _months(groups: Iterable[RowGroup], criteria: Criteria) -> int:
    first = criteria.month
    for group in groups:
        first = min(first, criteria.first_month if group.first_day is None else Month.of(group.first_day))
    return criteria.month.index - max(first, criteria.first_month).index + 1


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:,.1f} MiB"
