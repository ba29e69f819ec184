"""The month window: the fold that turns rows, in whatever order, into what each account was in each month.

A cell is one account in one month. Every row contributes one number, `instant << 1 | at_risk`, and its cell
keeps the **largest**: the latest `updated_at` wins, and on an exact tie At Risk wins. The maximum does not
care in which order, batches, files, threads or machines the rows come, nor whether one comes twice. So two
files with the same rows can never disagree.

Duplicates are the rows beyond one for each cell. The numbers are only needed for accounts that may alert:
those with an At Risk row of the target month, which a later `Healthy` row may yet overrule. Once these are
known, `track_only` forgets the rest, and keeps of them one byte for each cell: was it ever seen? Once a month
is complete, `close` counts these bytes and lets them go.

Batches come in two ways. Where the same few accounts are told of month after month, a batch is folded into a
small table of its own, and that into the cells, a slice a month. Elsewhere its rows are sorted by month, so
that the cells of one month lie together and stay in the cache.
"""

import threading
from typing import Any, Final

import numpy as np

from service.account_risk.folding.account_numbers import AccountNumbers
from service.domain.errors import SourceNotParquetError
from service.sources.parquet.columns import Halved, Ints, Mask, Packed
from service.sources.parquet.instants import widened

TARGET: Final = 0
"""Months are counted back from the target month."""
_SEEN: Final = np.uint8(1)
_TRACKED: Final = np.uint8(2)
_OTHER_MONTHS: Final = "a row is of a month that the statistics in its file's footer rule out"
_DENSE: Final = 4
"""A batch has a table of its own where that has no more than so many cells for each row."""
_FEW_MONTHS: Final = 256
"""Numbers below this are sorted by their only byte."""


class MonthWindow:
    """The cells of all accounts over the last `months` months; safe to fill from several threads."""

    def __init__(self, months: int) -> None:
        self._months = [_Month() for _ in range(months)]
        self._rank: Ints | None = None

    def see(self, accounts: Ints, back: Ints) -> Ints | None:
        """Mark the cells of these rows as seen; returns which rows are to be folded, None for all."""
        if self._rank is None:
            return None
        order, months = self._in_months(back)
        accounts = accounts[order]
        tracked = [first + month.see(accounts[first:end]) for month, first, end in months]
        rows = np.concatenate([np.zeros(0, np.int64), *tracked])
        return rows if isinstance(order, slice) else order[rows]

    def fold(self, accounts: Ints, back: Ints, instants: Packed | Halved, at_risk: Mask) -> None:
        """Let each row contribute to its cell, `back` months before the target month."""
        packed = instants << instants.dtype.type(1) | at_risk
        accounts = self._places(accounts)
        if not self._fold_dense(accounts, back, packed):
            order, months = self._in_months(back)
            accounts, packed = accounts[order], packed[order]
            for month, first, end in months:
                month.fold(accounts[first:end], packed[first:end])

    def track_only(self, accounts: Ints, months: int) -> None:
        """From now on keep the numbers of these accounts only (distinct, ascending), over more months."""
        tracked = np.zeros(int(accounts.max(initial=-1)) + 1, np.uint8)
        tracked[accounts] = _TRACKED
        for month in self._months:
            month.track_only(accounts, tracked)
        self._months += [_Month(tracked) for _ in range(months - self.months)]
        self._rank = np.full(tracked.size, -1, np.int32)
        self._rank[accounts] = np.arange(accounts.size)

    def close(self, back: int) -> None:
        """Keep as little as can be of a month, not the target's, that no further row can be of."""
        self._months[back].close()

    def newest(self, accounts: Ints, back: int) -> Packed:
        """Return the winning number of each tracked account in one month, 0 where it has no row."""
        return self._months[back].newest(self._places(accounts))

    def seen(self, accounts: Ints, back: int) -> Mask:
        """Return which accounts have any row in one month."""
        return self._months[back].seen(accounts)

    def durations(self, accounts: Ints) -> Ints:
        """Return for how many months, walking back from the target, each tracked account was At Risk."""
        places = self._places(accounts)
        lasted = np.zeros(accounts.size, np.int64)
        walking = np.arange(accounts.size)
        for month in self._months:
            walking = walking[month.at_risk(places[walking])]
            if not walking.size:
                break
            lasted[walking] += 1
        return lasted

    @property
    def months(self) -> int:
        """How many months back the numbers reach."""
        return len(self._months)

    def account_months(self) -> int:
        """Count the cells that any row was seen in."""
        return sum(month.count() for month in self._months)

    @property
    def nbytes(self) -> int:
        """The memory that the cells take."""
        return sum(month.nbytes for month in self._months)

    def _places(self, accounts: Ints) -> Ints:
        places: Ints = accounts if self._rank is None else self._rank.take(accounts)
        return places

    def _fold_dense(self, accounts: Ints, back: Ints, packed: Packed | Halved) -> bool:
        """Fold rows by way of a table of their own, if they fill enough of it."""
        if not back.size:
            return False
        months, first = int(back.max()) + 1, int(accounts.min())
        span = int(accounts.max()) + 1 - first
        if months == 1 or months > self.months or months * span > _DENSE * back.size:
            return False
        table = np.zeros((months, span), packed.dtype)
        places = back * span
        places += accounts
        places -= first
        np.maximum.at(table.reshape(-1), places, packed)
        for month, numbers, has_rows in zip(self._months, table, table.max(axis=1), strict=False):
            if has_rows:
                month.fold_slice(first, numbers)
        return True

    def _in_months(self, back: Ints) -> tuple[Any, list[tuple["_Month", int, int]]]:
        """Return an order of these rows, and of each month where in that order its rows begin and end."""
        if not back.size:
            return slice(None), []
        newest, oldest = int(back.min()), int(back.max())
        if oldest >= self.months:
            raise SourceNotParquetError(_OTHER_MONTHS)
        if newest == oldest:
            return slice(None), [(self._months[newest], 0, back.size)]
        # Sorted by radix, as numbers of one or two bytes are.
        keys = back.astype(np.uint8 if oldest < _FEW_MONTHS else np.uint16)
        ends = np.cumsum(np.bincount(back)).tolist()
        months = zip(self._months, [0, *ends], ends, strict=False)
        return np.argsort(keys, kind="stable"), [
            (month, first, end) for month, first, end in months if end > first
        ]


class _Month:
    """One month of all accounts."""

    def __init__(self, tracked: Any = None) -> None:
        self._filling = threading.Lock()
        self._cells = AccountNumbers(np.zeros(0, np.uint32))
        """By account, or by rank among those tracked; 32 bits while these will do."""
        self._tracked = tracked
        self._marks: AccountNumbers | None = None
        """By account, once only some are tracked: is it, and was it seen? None before any row."""
        self._count = 0
        """How many were seen, once the month is closed."""

    def track_only(self, accounts: Ints, tracked: Any) -> None:
        self._tracked = tracked
        if self._cells.numbers.size:
            cells = self._cells.up_to(tracked.size)
            marks = (cells != 0).view(np.uint8) * _SEEN
            marks[: tracked.size] |= tracked
            self._marks = AccountNumbers(marks)
            self._cells = AccountNumbers(cells.take(accounts))

    def see(self, accounts: Ints) -> Ints:
        with self._filling:
            if self._count:
                raise SourceNotParquetError(_OTHER_MONTHS)
            if self._marks is None:
                self._marks = AccountNumbers(self._tracked.copy())
            marks = self._marks.up_to(_end(accounts))
            found = marks.take(accounts)
            marks[accounts] = found | _SEEN
        return np.flatnonzero(found & _TRACKED)

    def fold(self, accounts: Ints, packed: Packed | Halved) -> None:
        with self._filling:
            cells, packed = self._alike(packed, _end(accounts))
            np.maximum.at(cells, accounts, packed)

    def fold_slice(self, first: int, packed: Packed | Halved) -> None:
        """Let neighbouring accounts, `first` and those after it, contribute a number each, 0 for none."""
        with self._filling:
            cells, packed = self._alike(packed, first + packed.size)
            some = cells[first : first + packed.size]
            np.maximum(some, packed, out=some)

    def _alike(self, packed: Packed | Halved, needed: int) -> tuple[Any, Any]:
        """Return the cells of so many accounts at least, and the numbers in as many bits."""
        if packed.dtype != self._cells.numbers.dtype:
            self._cells, packed = AccountNumbers(widened(self._cells.numbers)), widened(packed)
        return self._cells.up_to(needed), packed

    def close(self) -> None:
        with self._filling:
            self._count = self.count()
            self._marks = None
            cells = self._cells.numbers
            self._cells = AccountNumbers((cells & cells.dtype.type(1)).astype(np.uint8))

    def newest(self, accounts: Ints) -> Packed:
        return widened(self._cells.of(accounts))

    def seen(self, accounts: Ints) -> Mask:
        seen: Mask = self._seen().of(accounts) != 0
        return seen

    def at_risk(self, accounts: Ints) -> Mask:
        cells = self._cells.of(accounts)
        at_risk: Mask = (cells & cells.dtype.type(1)).astype(np.bool_)
        return at_risk

    def count(self) -> int:
        return self._count + int(np.count_nonzero(self._seen().numbers))

    @property
    def nbytes(self) -> int:
        return sum(held.numbers.nbytes for held in (self._cells, self._marks) if held is not None)

    def _seen(self) -> AccountNumbers:
        """Return what is not 0 of the accounts that were seen."""
        if self._tracked is None:
            return self._cells
        marks = np.zeros(0, np.uint8) if self._marks is None else self._marks.numbers
        return AccountNumbers(marks & _SEEN)


def _end(accounts: Ints) -> int:
    """Return the number behind the last of these accounts."""
    return int(accounts.max(initial=-1)) + 1
