"""One number for each account: 0 until it is written, with room for accounts that are yet to come."""

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap
from typing import Any, Final

import numpy as np

from service.sources.parquet.columns import Ints

_FEWEST: Final = 1 << 17
_GROWTH: Final = 4
"""Room is made for the fewest accounts at least, and then for so many times as many."""


class AccountNumbers:
    """An array by account that grows.

    Its room is mapped and not allocated, so that what nobody writes to takes no memory, and what is outgrown
    is given back at once, instead of staying behind in the heap.
    """

    def __init__(self, numbers: Any) -> None:
        """Begin with these numbers, those of the first accounts."""
        self.numbers = self._room = numbers

    def up_to(self, needed: int) -> Any:
        """Return the numbers of so many accounts at least."""
        if needed > self._room.size:
            size, kind = max(needed, _FEWEST, _GROWTH * self._room.size), self._room.dtype
            self._room = np.frombuffer(
                mmap(-1, size * kind.itemsize, flags=MAP_PRIVATE | MAP_ANONYMOUS), kind
            )
            self._room[: self.numbers.size] = self.numbers
        if needed > self.numbers.size:
            # Page by page, as what is read before it is written to costs two page faults.
            self._room[self.numbers.size : needed : PAGESIZE // self._room.itemsize] = 0
            self.numbers = self._room[:needed]
        return self.numbers

    def of(self, accounts: Ints) -> Any:
        """Return the numbers of some accounts."""
        return self.up_to(int(accounts.max(initial=-1)) + 1).take(accounts)
