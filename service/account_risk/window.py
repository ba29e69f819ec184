"""The month window: the fold that turns rows, in whatever order, into what each account was in each month.

A cell is one account in one month. Every row contributes one number, `instant << 1 | at_risk`, and its cell
keeps the **largest**: the latest `updated_at` wins, and on an exact tie At Risk wins. The maximum does not
care in which order, batches, files, threads or machines the rows come, nor whether one comes twice. So two
files with the same rows can never disagree.

Duplicates are the rows beyond one for each cell. The numbers are only needed for accounts that may alert:
those with an At Risk row of the target month, which a later `Healthy` row may yet overrule. Once these are
known, `track_only` forgets the rest, and keeps of them one byte for each cell: was it ever seen? Once a month
is complete, `close` counts these bytes and lets them go.
"""

import threading
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from service.domain.errors import SourceNotParquetError
from service.sources.parquet.columns import Halved, Ints, Mask, Packed
from service.sources.parquet.instants import widened

TARGET: Final = 0
"""Months are counted back from the target month."""
_SEEN: Final = np.uint8(1)
_TRACKED: Final = np.uint8(2)
_OTHER_MONTHS: Final = "a row is of a month that the statistics in its file's footer rule out"
_BLOCK: Final = 4096
"""Room is made for so many accounts at least."""


class MonthWindow:
    """The cells of all accounts over the last `months` months; safe to fill from several threads."""

    def __init__(self, months: int) -> None:
        self._months = [_Month() for _ in range(months)]
        self._rank: Ints | None = None

    def see(self, accounts: Ints, back: Ints) -> Ints | None:
        """Mark the cells of these rows as seen; returns which rows are to be folded, None for all."""
        if self._rank is None:
            return None
        tracked = [_among(rows, month.see(accounts[rows])) for month, rows in self._by_month(back)]
        return np.concatenate([np.zeros(0, np.int64), *tracked])

    def fold(self, accounts: Ints, back: Ints, instants: Packed | Halved, at_risk: Mask) -> None:
        """Let each row contribute to its cell, `back` months before the target month."""
        packed = instants << instants.dtype.type(1) | at_risk
        accounts = self._places(accounts)
        for month, rows in self._by_month(back):
            month.fold(accounts[rows], packed[rows])

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

    def nbytes(self, accounts: int) -> int:
        """Return the memory that the cells take, of which there are so many accounts, in bytes."""
        return sum(month.nbytes(accounts) for month in self._months)

    def _places(self, accounts: Ints) -> Ints:
        places: Ints = accounts if self._rank is None else self._rank.take(accounts)
        return places

    def _by_month(self, back: Ints) -> Iterator[tuple["_Month", Any]]:
        """Yield the months of these rows, and for each where its rows are."""
        if not back.size:
            return
        if back.max() >= len(self._months):
            raise SourceNotParquetError(_OTHER_MONTHS)
        if back.min() == back.max():
            yield self._months[int(back[0])], slice(None)
            return
        # Sorted by radix, as 16 bits are. Month by month the cells lie together, and stay in the cache.
        order = np.argsort(back.astype(np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(back)).tolist()
        for month, first, end in zip(self._months, [0, *ends], ends, strict=False):
            if end > first:
                yield month, order[first:end]


class _Month:
    """One month of all accounts."""

    def __init__(self, tracked: Any = None) -> None:
        self._filling = threading.Lock()
        self._cells: Any = np.zeros(0, np.uint32)
        """Numbers by account, or by rank among those tracked; 32 bits while these will do."""
        self._tracked = tracked
        self._marks: Any = None
        """By account, once only some are tracked: is it, and was it seen? None before any row."""
        self._count = 0
        """How many were seen, once the month is closed."""

    def track_only(self, accounts: Ints, tracked: Any) -> None:
        self._tracked = tracked
        if self._cells.size:
            self._cells = _with_room(self._cells, accounts)
            self._marks = (self._cells != 0).view(np.uint8) * _SEEN
            self._marks[: tracked.size] |= tracked
            self._cells = self._cells.take(accounts)

    def see(self, accounts: Ints) -> Ints:
        with self._filling:
            if self._count:
                raise SourceNotParquetError(_OTHER_MONTHS)
            if self._marks is None:
                self._marks = self._tracked.copy()
            marks = self._marks = _with_room(self._marks, accounts)
            found = marks.take(accounts)
            marks[accounts] = found | _SEEN
        return np.flatnonzero(found & _TRACKED)

    def fold(self, accounts: Ints, packed: Packed | Halved) -> None:
        with self._filling:
            if packed.dtype != self._cells.dtype:
                self._cells, packed = widened(self._cells), widened(packed)
            cells = self._cells = _with_room(self._cells, accounts)
            cells[accounts] = np.maximum(cells.take(accounts), packed)
            # Of several rows of one cell only one was written: where it was not the largest, that goes again.
            lost = np.flatnonzero(cells.take(accounts) < packed)
            if lost.size:
                ascending = lost[np.lexsort((packed[lost], accounts[lost]))]
                largest = ascending[np.append(np.diff(accounts[ascending]) != 0, True)]
                cells[accounts[largest]] = packed[largest]

    def close(self) -> None:
        with self._filling:
            self._count = self.count()
            self._marks = None
            self._cells = (self._cells & self._cells.dtype.type(1)).astype(np.uint8)

    def newest(self, accounts: Ints) -> Packed:
        return widened(_with_room(self._cells, accounts).take(accounts))

    def seen(self, accounts: Ints) -> Mask:
        cells = self._cells if self._tracked is None else self._seen()
        seen: Mask = _with_room(cells, accounts).take(accounts) != 0
        return seen

    def at_risk(self, accounts: Ints) -> Mask:
        cells = _with_room(self._cells, accounts).take(accounts)
        at_risk: Mask = (cells & cells.dtype.type(1)).astype(np.bool_)
        return at_risk

    def count(self) -> int:
        cells = self._cells if self._tracked is None else self._seen()
        return self._count + int(np.count_nonzero(cells))

    def nbytes(self, accounts: int) -> int:
        # What lies behind the last account was never touched, so that it takes no memory.
        held = (self._cells,) if self._marks is None else (self._cells, self._marks)
        return sum(min(cells.size, accounts) * cells.itemsize for cells in held)

    def _seen(self) -> Any:
        return np.zeros(0, np.uint8) if self._marks is None else self._marks & _SEEN


def _among(rows: Any, some: Ints) -> Ints:
    """Return some of the rows, which are given as a slice of all or by their places."""
    among: Ints = some if isinstance(rows, slice) else rows[some]
    return among


def _with_room(cells: Any, accounts: Ints) -> Any:
    """Return the cells, or a larger copy if one of the accounts lies beyond their end."""
    needed = int(accounts.max(initial=-1)) + 1
    if needed <= cells.size:
        return cells
    grown = np.zeros(-(-max(needed, 2 * cells.size) // _BLOCK) * _BLOCK, cells.dtype)
    grown[: cells.size] = cells
    return grown
