"""Validation: each row of a batch is in the window or not, usable or not, and counted as such."""

import heapq
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.account_risk.account_at_risk import Criteria
from service.account_risk.row_ledger import InvalidRow, InvalidSample
from service.account_risk.schema import ACCOUNT_ID, MONTH
from service.sources.parquet.columns import Ints, Mask, days, known_days, valid
from service.sources.parquet.text import as_bytes, identifiers, shortened

SAMPLES_PER_REASON: Final = 3
ID_BYTES: Final = 1_024
"""An account id may be so long, as it is shown."""
_ESCAPED: Final = 4
"""How often as long an id can become when it is shown."""
_SHOWN_BYTES: Final = 256
"""Of an id in a sample."""

_OUTSIDE: Final = -2
_NOT_FIRST: Final = -1
_EPOCH: Final = 719_163  # the day 1970-01-01, counted from 0001-01-01

_Entry: TypeAlias = tuple[tuple[str, bool, str, str], InvalidSample]
"""A sample behind what it is chosen by."""


@dataclass(frozen=True, slots=True)
class UsableRows:
    """The rows of a batch that count: valid, and in the window."""

    rows: Ints | None
    """Their places in the batch; None for all of them."""
    account_ids: Any
    """Text of any kind, without nulls."""
    back: Ints
    """How many months before the target month each of them lies."""

    def of(self, column: Any) -> Any:
        """Return the values of these rows in another column of the batch."""
        return column if self.rows is None else column.take(pa.array(self.rows))


@dataclass(slots=True)
class RowTally:
    """What has become of rows so far; tallies of parts of a source add up."""

    outside: int = 0
    usable: int = 0
    of_target_month: int = 0
    invalid: Counter[InvalidRow] = field(default_factory=Counter)
    samples: dict[InvalidRow, list[_Entry]] = field(default_factory=dict)

    def add(self, other: "RowTally") -> None:
        """Take in what another tally has counted."""
        self.outside += other.outside
        self.usable += other.usable
        self.of_target_month += other.of_target_month
        self.invalid += other.invalid
        for reason, entries in other.samples.items():
            self.show(reason, entries)

    def show(self, reason: InvalidRow, entries: list[_Entry]) -> None:
        """Keep of these rows and those already known the few that come first, wherever they stood."""
        known = self.samples.get(reason, [])
        self.samples[reason] = heapq.nsmallest(
            SAMPLES_PER_REASON, [*known, *entries], key=lambda entry: entry[0]
        )


class RowValidator:
    """Validates batches against one window and keeps the count; safe to use from several threads.

    The order of the checks: month null, outside the window, not a first of month, account id null, empty or
    too long.
    """

    def __init__(self, criteria: Criteria) -> None:
        first, last = criteria.first_month.first_day, criteria.month.last_day
        self._first = first.toordinal() - _EPOCH
        # By day since the day before the window; the day before and the day after stand for all others.
        self._back = np.full(last.toordinal() - first.toordinal() + 3, _NOT_FIRST, np.int64)
        self._back[[0, -1]] = _OUTSIDE
        for back in range(criteria.month.index - criteria.first_month.index + 1):
            day = criteria.month.minus(back).first_day.toordinal() - first.toordinal()
            self._back[day + 1] = back
        self._counting = threading.Lock()
        self.tally = RowTally()

    def validate(self, batch: Any, file: str) -> UsableRows | None:
        """Return the usable rows of a batch that has month and account_id; None if there are none."""
        ids, month = batch.column(ACCOUNT_ID), batch.column(MONTH)
        since = np.subtract(days(month), self._first - 1, dtype=np.int64)
        back: Ints = self._back.take(since, mode="clip")
        month_known = valid(month)
        checked = _checked(ids)
        if month_known is None and checked is None and back.size and back.min() >= 0:
            rows = None
        else:
            rows = self._sort_out(batch, file, back, month_known, checked)
            back = back[rows]
        with self._counting:
            self.tally.usable += back.size
            self.tally.of_target_month += back.size - int(np.count_nonzero(back))
        if not back.size:
            return None
        if rows is not None:
            ids = ids.take(pa.array(rows))
        if checked is not None and pa.types.is_dictionary(ids.type):
            # Its dictionary may hold what is no id, and is looked up whole.
            ids = ids.dictionary_decode()
        return UsableRows(rows, ids, back)

    @property
    def samples(self) -> tuple[InvalidSample, ...]:
        """A few invalid rows for each reason: those with the smallest account ids, then the earliest."""
        return tuple(sample for reason in InvalidRow for _, sample in self.tally.samples.get(reason, ()))

    def _sort_out(
        self, batch: Any, file: str, back: Ints, month_known: Mask | None, checked: "_Ids | None"
    ) -> Ints:
        if month_known is None:
            month_known = np.ones(back.size, bool)
        if checked is None:
            checked = _Ids(missing=np.zeros(back.size, bool), too_long=np.zeros(back.size, bool))
        in_window = month_known & (back != _OUTSIDE)
        first_of_month = in_window & (back != _NOT_FIRST)
        with self._counting:
            self.tally.outside += int(np.count_nonzero(month_known & ~in_window))
        for reason, mask in (
            (InvalidRow.MONTH_NULL, ~month_known),
            (InvalidRow.MONTH_NOT_FIRST_OF_MONTH, in_window & ~first_of_month),
            (InvalidRow.ACCOUNT_ID_NULL_OR_EMPTY, first_of_month & checked.missing),
            (InvalidRow.ACCOUNT_ID_TOO_LONG, first_of_month & checked.too_long),
        ):
            rows = np.flatnonzero(mask)
            if rows.size:
                self._note(reason, _smallest(batch, rows), rows.size, file)
        return np.flatnonzero(first_of_month & ~checked.missing & ~checked.too_long)

    def _note(self, reason: InvalidRow, rows: Any, count: int, file: str) -> None:
        entries = [_entry(reason, file, *row) for row in _shown(rows)]
        with self._counting:
            self.tally.invalid[reason] += count
            self.tally.show(reason, entries)


@dataclass(frozen=True, slots=True)
class _Ids:
    """Which rows have no account id that can be used."""

    missing: Mask
    """Null or empty."""
    too_long: Mask


def _checked(ids: Any) -> _Ids | None:
    """Look for ids that cannot be used; None if there are none."""
    if pa.types.is_null(ids.type):
        return _Ids(np.ones(len(ids), bool), np.zeros(len(ids), bool))
    if pa.types.is_dictionary(ids.type):
        found = _checked(ids.dictionary)
        if ids.null_count == 0 and found is None:
            return None
        none = np.zeros(len(ids.dictionary), bool)
        missing, too_long = (none, none) if found is None else (found.missing, found.too_long)
        # What stands for null comes last, so that its place, -1, finds it.
        places = ids.indices.cast(pa.int64()).fill_null(-1).to_numpy()
        return _Ids(np.append(missing, [True])[places], np.append(too_long, [False])[places])
    lengths = pc.binary_length(as_bytes(ids))
    ends = pc.min_max(lengths).as_py()
    if ids.null_count == 0 and ends["min"] != 0 and (ends["max"] or 0) <= ID_BYTES // _ESCAPED:
        return None
    size = pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False)
    too_long = size > ID_BYTES
    # What is not UTF-8 is shown escaped, and must fit as it is shown.
    doubtful = np.flatnonzero((size > ID_BYTES // _ESCAPED) & ~too_long)
    shown = identifiers(as_bytes(ids).take(pa.array(doubtful)).cast(pa.large_binary()))
    too_long[doubtful] = [len(one.encode()) > ID_BYTES for one in shown]
    return _Ids(size == 0, too_long)


def _smallest(batch: Any, rows: Ints) -> Any:
    """Take the rows with the smallest account ids and months, so that the choice knows no order of rows."""
    chosen = batch.take(pa.array(rows))
    ids = chosen.column(ACCOUNT_ID)
    keys = pa.table({"id": _present(ids), "known": ids.is_valid(), "day": days(chosen.column(MONTH))})
    least = pc.select_k_unstable(keys, SAMPLES_PER_REASON, [(key, "ascending") for key in keys.column_names])
    return chosen.take(least)


def _present(column: Any) -> Any:
    """Return ids as large_binary, null as empty, cut where they are too long to be shown."""
    if pa.types.is_null(column.type):
        return pa.array([b""] * len(column), pa.large_binary())
    short, _ = shortened(column, _SHOWN_BYTES)
    return pc.fill_null(as_bytes(short).cast(pa.large_binary()), b"")


def _shown(rows: Any) -> Iterable[tuple[str | None, str | None]]:
    ids = rows.column(ACCOUNT_ID)
    months = known_days(rows.column(MONTH)).to_pylist()
    for shown, known, month in zip(
        identifiers(_present(ids)), ids.is_valid().to_pylist(), months, strict=True
    ):
        yield shown if known else None, None if month is None else month.isoformat()


def _entry(reason: InvalidRow, file: str, account_id: str | None, month: str | None) -> _Entry:
    sample = InvalidSample(reason=reason, file=file, account_id=account_id, month=month)
    return (account_id or "", account_id is not None, month or "", file), sample
