"""The attributes of accounts At Risk, column by column: what an alert shows besides its streak."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.account_risk.candidate_rows import CandidateRows
from service.account_risk.schema import ARR, NAME, OWNER, REGION, RENEWAL
from service.sources.parquet.batch import Batch
from service.sources.parquet.columns import (
    Exact,
    Ints,
    Mask,
    known_days,
    rounded,
    valid,
)
from service.sources.parquet.text import texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """One entry a row, of rows that are At Risk in the target month and that no later row overrules."""

    accounts: Ints
    """Numbers in the account index."""
    ids: Any
    """large_binary."""
    names: Any
    """large_string, as are regions and owners; null where the source has none."""
    regions: Any
    owners: Any
    renewals: Any
    """date32; null where the source has none, or none that can be shown."""
    arr: Ints
    """Rounded; arbitrary where it is not known."""
    arr_known: Mask
    meets_threshold: Mask
    """Whether the exact ARR is known and at least the threshold."""
    arr_out_of_range: Mask
    """Whether there is an ARR, but none that 64 bits can hold."""
    exact: dict[int, Exact] = field(default_factory=dict)
    """The exact ARR by entry, where it is known and not a whole number's type."""

    @classmethod
    def of(cls, *, accounts: Ints, ids: Any, rows: Any, threshold: int) -> "Attributes":
        """Read them from a record batch with just these rows."""
        owner = rows.column(OWNER) if OWNER in rows.schema.names else pa.nulls(len(ids))
        return cls(
            accounts=accounts,
            ids=ids,
            names=texts(rows.column(NAME)),
            regions=texts(rows.column(REGION)),
            owners=texts(owner),
            renewals=known_days(rows.column(RENEWAL)),
            **_arr(rows.column(ARR), threshold),
        )

    @classmethod
    def of_batch(
        cls, batch: Batch, rows: dict[tuple[int, int], CandidateRows], threshold: int
    ) -> "Attributes":
        """Read those of `rows`, given by file and row group, that stand in a batch."""
        here = rows[batch.group.file, batch.group.index].between(
            batch.first_row, batch.first_row + batch.columns.num_rows
        )
        values = batch.columns.take(pa.array(here.places - batch.first_row))
        return cls.of(accounts=here.accounts, ids=here.ids, rows=values, threshold=threshold)

    @classmethod
    def joined(cls, parts: Iterable["Attributes"]) -> "Attributes":
        """Put those of many batches together."""
        parts = list(parts)

        def numbers(name: str, dtype: Any) -> Any:
            return np.concatenate([np.zeros(0, dtype), *(getattr(part, name) for part in parts)])

        def column(name: str, kind: Any) -> Any:
            return pa.concat_arrays([pa.array([], kind), *(getattr(part, name) for part in parts)])

        exact: dict[int, Exact] = {}
        size = 0
        for part in parts:
            exact.update({size + place: value for place, value in part.exact.items()})
            size += part.accounts.size
        return cls(
            accounts=numbers("accounts", np.int64),
            ids=column("ids", pa.large_binary()),
            names=column("names", pa.large_string()),
            regions=column("regions", pa.large_string()),
            owners=column("owners", pa.large_string()),
            renewals=column("renewals", pa.date32()),
            arr=numbers("arr", np.int64),
            arr_known=numbers("arr_known", np.bool_),
            meets_threshold=numbers("meets_threshold", np.bool_),
            arr_out_of_range=numbers("arr_out_of_range", np.bool_),
            exact=exact,
        )

    def winners(self) -> Ints:
        """Return one entry for each account; where rows tie, their attributes decide, never their place."""
        order = np.argsort(self.accounts, kind="stable")
        ordered = self.accounts[order]
        first = np.append(True, ordered[1:] != ordered[:-1])[: order.size]
        runs = np.flatnonzero(first)
        won: Ints = order[runs]
        lengths = np.diff(np.append(runs, order.size))
        for run in np.flatnonzero(lengths > 1).tolist():
            tied = order[runs[run] : runs[run] + lengths[run]].tolist()
            won[run] = min(tied, key=self._rank)
        return won

    def order(self, entries: Ints, ids: list[str]) -> Ints:
        """Return the places of `entries` by ARR descending, unknown last, then by the text of their ids."""
        known = self.arr_known[entries]
        keys = pa.table(
            {
                "unknown": ~known,
                # The complement turns the order around even for the smallest number, which has no negative.
                "arr": np.where(known, ~self.arr[entries], 0),
                "id": pa.array(ids, pa.large_string()),
            }
        )
        order: Ints = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]).to_numpy()
        return order.astype(np.int64)

    def _rank(self, entry: int) -> tuple[Any, ...]:
        """Sort rows of one account and instant: the smallest counts. Largest ARR first, null last in all."""
        known = bool(self.arr_known[entry])
        columns = (self.names, self.regions, self.owners, self.renewals)
        values = (column[entry].as_py() for column in columns)
        return (
            not known,
            -self.exact.get(entry, int(self.arr[entry])) if known else 0,
            *((value is None, value) if value is not None else (True,) for value in values),
            not self.arr_out_of_range[entry],
        )


def _arr(column: Any, threshold: int) -> dict[str, Any]:
    if pa.types.is_null(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        known = valid(column)
        arr = column.fill_null(0).cast(pa.int64()).to_numpy()
        known = np.ones(arr.size, bool) if known is None else known
        none = np.zeros(arr.size, bool)
        # Python compares with a threshold of any size; NumPy would refuse one beyond 64 bits.
        return {
            "arr": arr,
            "arr_known": known,
            "meets_threshold": known & (arr >= threshold),
            "arr_out_of_range": none,
        }
    values = column.to_pylist()
    whole = [None if value is None else rounded(value) for value in values]
    known = np.array([value is not None for value in whole], bool)
    exact = {place: values[place] for place in np.flatnonzero(known).tolist()}
    return {
        "arr": np.array([value or 0 for value in whole], np.int64),
        "arr_known": known,
        "meets_threshold": np.array(
            [place in exact and exact[place] >= threshold for place in range(known.size)], bool
        ),
        # NaN is as good as null, and is the only value that differs from itself.
        "arr_out_of_range": ~known
        & np.array([value is not None and value == value for value in values], bool),  # noqa: PLR0124
        "exact": exact,
    }
