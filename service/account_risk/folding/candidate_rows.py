"""Candidate rows: where At Risk rows of the target month stand whose attributes are yet to be read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.sources.parquet.columns import Ints, Mask, Packed


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRows:
    """Some rows of one file: whose they are, how new, and where."""

    accounts: Ints
    """Numbers in the account index."""
    packed: Packed
    """The number that each contributes to its cell."""
    places: Ints
    """In the file, ascending from 0."""

    @classmethod
    def joined(cls, parts: Sequence["CandidateRows"]) -> "CandidateRows":
        """Put those of several batches together, in the order of their places; at least one."""
        parts = sorted(parts, key=lambda part: int(part.places[0]))
        return cls(
            accounts=np.concatenate([part.accounts for part in parts]),
            packed=np.concatenate([part.packed for part in parts]),
            places=np.concatenate([part.places for part in parts]),
        )

    @property
    def nbytes(self) -> int:
        """The memory taken."""
        return int(self.accounts.nbytes + self.packed.nbytes + self.places.nbytes)

    def of(self, rows: Mask | slice) -> "CandidateRows":
        """Return some of them."""
        return CandidateRows(accounts=self.accounts[rows], packed=self.packed[rows], places=self.places[rows])

    def between(self, first: int, last: int) -> "CandidateRows":
        """Return those whose places are in `first` up to before `last`."""
        low, high = np.searchsorted(self.places, [first, last])
        return self.of(slice(low, high))
