"""The partial fold: what one part of a source says about some accounts, mergeable with what others say.

Accounts are known by their fingerprints, which are the same in every process with the same seed, so that
nothing but numbers travels. Merging is an elementwise maximum, in whatever order and tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.account_risk.folding.account_index import AccountIndex
from service.account_risk.folding.window import MonthWindow
from service.sources.parquet.columns import Ints, Mask, Packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """Cells of some accounts."""

    home: Packed
    check: Packed
    """Both fingerprints of each account."""
    seen: Mask
    """By account and month: whether there was any row."""
    tracked: Ints
    """Places of the candidates among these accounts."""
    newest: Packed
    """By candidate and month: the winning number."""

    @classmethod
    def of(cls, window: MonthWindow, index: AccountIndex, tracked: Ints, months: int) -> "Partial":
        """Take the cells of all accounts of an index, and the numbers of those tracked, out of a window."""
        everyone = np.arange(index.count)
        seen = np.zeros((index.count, months), np.bool_)
        newest = np.zeros((tracked.size, months), np.uint64)
        for back in range(min(months, window.months)):
            seen[:, back] = window.seen(everyone, back)
            newest[:, back] = window.newest(tracked, back)
        home, check = index.fingerprints()
        return cls(home=home, check=check, seen=seen, tracked=tracked, newest=newest)

    def buckets(self, count: int) -> list["Partial"]:
        """Split by account: the same account falls into the same bucket everywhere."""
        bucket = self.home % np.uint64(count)
        return [self._only(np.flatnonzero(bucket == np.uint64(number))) for number in range(count)]

    def _only(self, accounts: Ints) -> "Partial":
        place = np.full(self.home.size, -1, np.int64)
        place[accounts] = np.arange(accounts.size)
        kept = np.flatnonzero(place[self.tracked] >= 0)
        return Partial(
            home=self.home[accounts],
            check=self.check[accounts],
            seen=self.seen[accounts],
            tracked=place[self.tracked[kept]],
            newest=self.newest[kept],
        )


def merged(parts: Sequence[Partial]) -> Partial:
    """Merge parts over the same months; at least one."""
    index = AccountIndex(seed=0)
    places = [index.numbers_of(part.home, part.check) for part in parts]
    tracked = np.unique(np.concatenate([at[part.tracked] for at, part in zip(places, parts, strict=True)]))
    months = parts[0].seen.shape[1]
    seen = np.zeros((index.count, months), np.bool_)
    newest = np.zeros((tracked.size, months), np.uint64)
    for at, part in zip(places, parts, strict=True):
        # Within one part an account stands once, so that no update is lost.
        seen[at] |= part.seen
        rows = np.searchsorted(tracked, at[part.tracked])
        newest[rows] = np.maximum(newest[rows], part.newest)
    home, check = index.fingerprints()
    return Partial(home=home, check=check, seen=seen, tracked=tracked, newest=newest)
