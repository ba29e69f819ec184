"""Candidate rows: At Risk rows of the target month, which later rows may yet overrule."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from service.sources.parquet.columns import Ints, Mask, Packed


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRows:
    """Whose these rows are, how new they are and where they stand; one entry a row, no strings but ids."""

    accounts: Ints
    """Numbers in the account index."""
    packed: Packed
    """The number that each contributes to its cell."""
    files: Ints
    row_groups: Ints
    places: Ints
    """In their row groups, from 0."""
    ids: Any
    """large_binary."""

    @classmethod
    def joined(cls, parts: Iterable["CandidateRows"]) -> "CandidateRows":
        """Put those of many batches together; their order is that of arrival."""
        parts = list(parts)

        def column(name: str, dtype: Any) -> Any:
            return np.concatenate([np.zeros(0, dtype), *(getattr(part, name) for part in parts)])

        return cls(
            accounts=column("accounts", np.int64),
            packed=column("packed", np.uint64),
            files=column("files", np.int64),
            row_groups=column("row_groups", np.int64),
            places=column("places", np.int64),
            ids=pa.concat_arrays([pa.array([], pa.large_binary()), *(part.ids for part in parts)]),
        )

    @property
    def nbytes(self) -> int:
        """The memory taken."""
        columns = self.accounts, self.packed, self.files, self.row_groups, self.places, self.ids
        return sum(int(column.nbytes) for column in columns)

    def of(self, rows: Ints | Mask) -> "CandidateRows":
        """Return some of them."""
        return CandidateRows(
            accounts=self.accounts[rows],
            packed=self.packed[rows],
            files=self.files[rows],
            row_groups=self.row_groups[rows],
            places=self.places[rows],
            ids=self.ids.take(pa.array(np.arange(self.accounts.size)[rows])),
        )

    def by_row_group(self) -> dict[tuple[int, int], "CandidateRows"]:
        """Return them by file and row group, in the order of their places."""
        ordered = self.of(np.lexsort((self.places, self.row_groups, self.files)))
        groups = np.stack([ordered.files, ordered.row_groups])
        edges = np.flatnonzero((groups[:, 1:] != groups[:, :-1]).any(axis=0)) + 1
        return {
            (int(ordered.files[rows[0]]), int(ordered.row_groups[rows[0]])): ordered.of(rows)
            for rows in np.split(np.arange(ordered.accounts.size), edges)
            if rows.size
        }

    def between(self, first: int, last: int) -> "CandidateRows":
        """Return those of one row group, in order, whose places are in `first` up to before `last`."""
        low, high = np.searchsorted(self.places, [first, last])
        return self.of(np.arange(low, high))
