"""The month window: the fold that turns rows, in whatever order, into what each account was in each month.

A cell is one account in one month. Every row contributes one number, `instant << 1 | at_risk`, and its cell
keeps the **largest**: the latest `updated_at` wins, and on an exact tie At Risk wins. The maximum does not
care in which order, batches, files, threads or machines the rows come, nor whether one comes twice. So two
files with the same rows can never disagree.

Duplicates are the rows beyond one for each cell, which needs one byte for each cell: was it ever seen? The
numbers themselves are only needed for accounts that may alert, those with any At Risk row of the target
month (a later `Healthy` row may still overrule it). Once these are known, `track_only` forgets the rest.
"""

import threading
from typing import Any, Final

import numpy as np

from service.columns import Ints, Mask, Packed

TARGET: Final = 0
"""Months are counted back from the target month."""
_BLOCK: Final = 4096
"""Accounts that lie together; a month that nobody of a block has costs nothing: its pages stay untouched."""


class MonthWindow:
    """The cells of all accounts over `months` months; safe to fill from several threads."""

    def __init__(self, months: int) -> None:
        self.months = months
        self._filling = threading.Lock()
        self._seen = _Cells(months, np.uint8)
        self._newest = _Cells(months, np.uint64)
        self._rank: Ints | None = None

    def see(self, accounts: Ints, back: Ints) -> Ints | None:
        """Note that these accounts have a row in the month `back` months before the target.

        Returns the places of the rows that `fold` must be given, None for all of them.
        """
        with self._filling:
            at = self._seen.at(accounts, back)
            self._seen.values[at] = 1
        if self._rank is None:
            return None
        return np.flatnonzero(self._rank.take(accounts, mode="clip") >= 0)

    def fold(self, accounts: Ints, back: Ints, instants: Packed, at_risk: Mask) -> None:
        """Let each row contribute to its cell."""
        tracked = accounts if self._rank is None else self._rank.take(accounts, mode="clip")
        packed = instants << np.uint64(1) | at_risk
        with self._filling:
            at = self._newest.at(tracked, back)
            cells = self._newest.values
            while at.size:
                cells[at] = np.maximum(cells.take(at), packed)
                # Of several rows of one cell only one was written; those that were larger go again.
                lost = np.flatnonzero(cells.take(at) < packed)
                at, packed = at[lost], packed[lost]

    def track_only(self, accounts: Ints) -> None:
        """From now on keep the numbers of these accounts only (distinct, ascending)."""
        newest = _Cells(self.months, np.uint64)
        ranks = np.arange(accounts.size)
        for back in range(self.months):
            known = self._newest.month(accounts, back)
            if known.any():
                at = newest.at(ranks, np.full(ranks.size, back))
                newest.values[at] = known
        self._newest = newest
        # One more than the largest, so that accounts first seen later are clipped to a -1.
        self._rank = np.full(int(accounts.max(initial=-1)) + 2, -1, np.int64)
        self._rank[accounts] = ranks

    def newest(self, accounts: Ints, back: int) -> Packed:
        """Return the winning number of each account in one month, 0 where it has no row."""
        tracked = accounts if self._rank is None else self._rank.take(accounts, mode="clip")
        newest: Packed = self._newest.month(tracked, back)
        return newest

    def durations(self, accounts: Ints) -> Ints:
        """Return for how many months, walking back from the target, each account was At Risk."""
        lasted = np.zeros(accounts.size, np.int64)
        walking = np.arange(accounts.size)
        for back in range(self.months):
            walking = walking[(self.newest(accounts[walking], back) & np.uint64(1)).astype(bool)]
            if not walking.size:
                break
            lasted[walking] += 1
        return lasted

    def occupied(self) -> int:
        """Count the cells that any row was seen in."""
        return self._seen.occupied()

    @property
    def nbytes(self) -> int:
        """An upper bound of the memory taken."""
        return self._seen.values.nbytes + self._newest.values.nbytes


class _Cells:
    """One number for each account and month; 0 where there is nothing yet.

    Blocks of accounts, in each the months one after the other, so that files sorted by month and files
    sorted by account both fill it nearly in the order of memory.
    """

    def __init__(self, months: int, dtype: Any) -> None:
        self._months = months
        self.values = np.zeros(months * _BLOCK, dtype)

    def at(self, accounts: Ints, back: Ints) -> Ints:
        """Return where the cells lie in `values`, which is another array once room had to be made."""
        self._make_room(int(accounts.max(initial=0)))
        return self._at(accounts, back)

    def month(self, accounts: Ints, back: int) -> Any:
        """Return the cells of one month."""
        self._make_room(int(accounts.max(initial=0)))
        return self.values.take(self._at(accounts, np.int64(back)))

    def occupied(self) -> int:
        # In pieces, as counting does not let other threads run.
        step = 1 << 22
        return sum(
            int(np.count_nonzero(self.values[first : first + step]))
            for first in range(0, self.values.size, step)
        )

    def _at(self, accounts: Ints, back: Any) -> Ints:
        at: Ints = (accounts // _BLOCK * self._months + back) * _BLOCK + accounts % _BLOCK
        return at

    def _make_room(self, account: int) -> None:
        blocks = self.values.size // (self._months * _BLOCK)
        if account < blocks * _BLOCK:
            return
        old = self.values.reshape(blocks, self._months, _BLOCK)
        grown = np.zeros((max(2 * blocks, account // _BLOCK + 1), self._months, _BLOCK), old.dtype)
        for back in range(self._months):
            if old[:, back].any():
                grown[:blocks, back] = old[:, back]
        self.values = grown.reshape(-1)
