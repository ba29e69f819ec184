"""The month window: the fold that turns rows, in whatever order, into what each account was in each month.

A cell is one account in one month. Every row contributes one number, `instant << 1 | at_risk`, and its cell
keeps the **largest**: the latest `updated_at` wins, and on an exact tie At Risk wins. The maximum does not
care in which order, batches, files, threads or machines the rows come, nor whether one comes twice. So two
files with the same rows can never disagree.

Duplicates are the rows beyond one for each cell. The numbers are only needed for accounts that may alert:
those with an At Risk row of the target month, which a later `Healthy` row may yet overrule. Once these are
known, `track_only` forgets the rest, and keeps of them one byte for each cell: was it ever seen?
"""

import threading
from typing import Any, Final

import numpy as np

from service.columns import Ints, Mask, Packed

TARGET: Final = 0
"""Months are counted back from the target month."""
_BLOCK_BITS: Final = 12
_BLOCK: Final = 1 << _BLOCK_BITS
"""Accounts that lie together."""


class MonthWindow:
    """The cells of all accounts over the last `months` months; safe to fill from several threads."""

    def __init__(self, months: int) -> None:
        self._filling = threading.Lock()
        self._newest = _Cells(months, np.uint64)
        self._seen: _Cells | None = None
        self._rank: Ints | None = None

    def fold(self, accounts: Ints, back: Ints, instants: Packed, at_risk: Mask) -> None:
        """Let each row contribute to its cell, `back` months before the target month."""
        if self._seen is not None and self._rank is not None:
            with self._filling:
                at = self._seen.at(accounts, back)
                self._seen.values[at] = True
            rank = self._rank.take(accounts, mode="clip")
            rows = np.flatnonzero(rank >= 0)
            accounts, back, instants, at_risk = rank[rows], back[rows], instants[rows], at_risk[rows]
        packed = instants << np.uint64(1) | at_risk
        with self._filling:
            at = self._newest.at(accounts, back)
            cells = self._newest.values
            while at.size:
                cells[at] = np.maximum(cells.take(at), packed)
                # Of several rows of one cell only one was written; those that were larger go again.
                lost = np.flatnonzero(cells.take(at) < packed)
                at, packed = at[lost], packed[lost]

    def track_only(self, accounts: Ints, months: int) -> None:
        """From now on keep the numbers of these accounts only (distinct, ascending), over more months."""
        self._seen = self._newest.occupied(months)
        newest = _Cells(months, np.uint64)
        ranks = np.arange(accounts.size)
        for back in range(self._newest.months):
            at = newest.at(ranks, np.int64(back))
            newest.values[at] = self._newest.month(accounts, back)
        self._newest = newest
        # One more than the largest, so that accounts first seen later are clipped to a -1.
        self._rank = np.full(int(accounts.max(initial=-1)) + 2, -1, np.int64)
        self._rank[accounts] = ranks

    def newest(self, accounts: Ints, back: int) -> Packed:
        """Return the winning number of each tracked account in one month, 0 where it has no row."""
        tracked = accounts if self._rank is None else self._rank.take(accounts)
        newest: Packed = self._newest.month(tracked, back)
        return newest

    def seen(self, accounts: Ints, back: int) -> Mask:
        """Return which accounts have any row in one month."""
        cells = self._newest if self._seen is None else self._seen
        seen: Mask = cells.month(accounts, back) != 0
        return seen

    def durations(self, accounts: Ints) -> Ints:
        """Return for how many months, walking back from the target, each account was At Risk."""
        lasted = np.zeros(accounts.size, np.int64)
        walking = np.arange(accounts.size)
        for back in range(self._newest.months):
            walking = walking[(self.newest(accounts[walking], back) & np.uint64(1)).astype(bool)]
            if not walking.size:
                break
            lasted[walking] += 1
        return lasted

    @property
    def months(self) -> int:
        """How many months back the numbers reach."""
        return self._newest.months

    def account_months(self) -> int:
        """Count the cells that any row was seen in."""
        return (self._newest if self._seen is None else self._seen).count()

    def nbytes(self, accounts: int) -> int:
        """Return the memory that the cells of so many accounts take, in bytes."""
        if self._seen is None or self._rank is None:
            return accounts * self._newest.months * 8
        return self._newest.values.nbytes + self._rank.nbytes + accounts * self._seen.months


class _Cells:
    """One value for each account and month; 0 where there is nothing yet.

    Blocks of accounts, in each the months one after the other, so that files sorted by month and files
    sorted by account both fill it nearly in the order of memory.
    """

    def __init__(self, months: int, dtype: Any, blocks: int = 1) -> None:
        self.months = months
        self.values = np.zeros(blocks * months * _BLOCK, dtype)
        self._accounts = 0

    def at(self, accounts: Ints, back: Any) -> Ints:
        """Return where the cells lie in `values`, which is another array once room had to be made."""
        self._make_room(int(accounts.max(initial=0)))
        at = accounts >> _BLOCK_BITS
        at *= self.months
        at += back
        at <<= _BLOCK_BITS
        at += accounts & (_BLOCK - 1)
        return at

    def month(self, accounts: Ints, back: int) -> Any:
        """Return the cells of one month."""
        at = self.at(accounts, np.int64(back))
        return self.values.take(at)

    def occupied(self, months: int) -> "_Cells":
        """Return whether each cell holds anything, with room for more months."""
        blocks = max(self._accounts - 1 >> _BLOCK_BITS, 0) + 1
        occupied = _Cells(months, np.bool_, blocks)
        held = self.values[: blocks * self.months * _BLOCK].reshape(blocks, self.months, _BLOCK)
        marks = occupied.values.reshape(blocks, months, _BLOCK)
        for back in range(self.months):
            np.not_equal(held[:, back], 0, out=marks[:, back])
        return occupied

    def count(self) -> int:
        """Count the cells that hold anything."""
        # In pieces, as counting does not let other threads run.
        step = 1 << 22
        pieces = (self.values[first : first + step] for first in range(0, self.values.size, step))
        return sum(int(np.count_nonzero(piece)) for piece in pieces)

    def _make_room(self, account: int) -> None:
        self._accounts = max(self._accounts, account + 1)
        room = self.values.size // self.months
        if account >= room:
            # Doubled, old and new together are no more than the new one will be when it is full.
            blocks = (max(2 * room - 1, account) >> _BLOCK_BITS) + 1
            grown = np.zeros(blocks * self.months * _BLOCK, self.values.dtype)
            grown[: self.values.size] = self.values
            self.values = grown
