"""Candidates: At Risk rows of the target month with all that their alerts show, one for each account.

The newest row of an account counts. Where rows tie, what they say decides, never their place in the source:
the largest ARR, then name, region, owner and renewal date ascending, null last in all. So rows that are equal
collapse as they come, and what is kept grows with accounts, not with rows.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.account_risk.folding.arr import arr_columns
from service.account_risk.folding.candidate_rows import CandidateRows
from service.account_risk.schema import ARR, NAME, OWNER, REGION, RENEWAL
from service.sources.parquet.columns import Ints, Packed, known_days
from service.sources.parquet.text import as_bytes, shortened, texts

COLUMNS: Final = pa.schema(
    [
        ("account", pa.int64()),  # its number in the account index
        ("packed", pa.uint64()),  # what the row contributes to its cell
        ("arr", pa.int64()),  # as `arr_columns` gives it
        ("arr_floor", pa.int64()),
        ("arr_fraction", pa.string()),
        ("arr_out_of_range", pa.bool_()),
        ("name", pa.large_string()),
        ("region", pa.large_string()),
        ("owner", pa.large_string()),
        ("renewal", pa.date32()),
        ("is_cut", pa.bool_()),  # whether name, region or owner was longer than can be shown
    ]
)
_IDS: Final = pa.schema([("account", pa.int64()), ("id", pa.large_binary())])
_PRECEDENCE: Final = (
    ("account", "ascending"),
    ("arr_floor", "descending"),
    ("arr_fraction", "descending"),
    ("name", "ascending"),
    ("region", "ascending"),
    ("owner", "ascending"),
    ("renewal", "ascending"),
    ("arr_out_of_range", "descending"),
    ("is_cut", "descending"),
)
TEXT_BYTES: Final = 4_096
"""Names, regions and owners are cut where they are longer."""
_COPIES: Final = 4
"""Of what candidates say, at most at once: as it is read, put together, in order, and as alerts."""
_BLANK: Final = r"^[\s\v\pZ\x1c-\x1f\x85]*$"
_NOTED_BYTES: Final = 32 << 20
_READ_BYTES: Final = 1 << 20
"""So much of what was read may wait for being made plain, which costs by the batch more than by the row."""
_LOOSE_ROWS: Final = 65_536
_LOOSE_PARTS: Final = 256
"""So many rows, or batches of them, may wait for being reduced to one for each account."""


class Candidates:
    """All candidates seen so far; safe to add to from several threads."""

    def __init__(self) -> None:
        self._adding = threading.Lock()
        self._noted: dict[int, list[CandidateRows]] = defaultdict(list)
        self._noted_bytes = 0
        self._read: list[pa.RecordBatch] = []
        self._read_bytes = 0
        self._rows = _Parts(COLUMNS, _one_each)
        self._ids = _Parts(_IDS, _one_id_each)

    @property
    def nbytes(self) -> int:
        """The memory that they take, and will when alerts are made of them."""
        # Not while another thread has put in rows that it is about to reduce.
        with self._adding:
            held = self._read_bytes + self._rows.nbytes + self._ids.nbytes
            return self._noted_bytes + _COPIES * held

    def identify(self, accounts: Ints, ids: Any) -> None:
        """Remember the ids (large_binary) of candidates' accounts."""
        with self._adding:
            self._ids.add(pa.table([accounts, ids], _IDS))

    def note(self, file: int, rows: CandidateRows) -> None:
        """Remember where rows stand whose attributes are yet to be read."""
        with self._adding:
            self._noted[file].append(rows)
            self._noted_bytes += rows.nbytes

    def has_room(self) -> bool:
        """Whether more rows may be noted before the attributes of those that are have to be read."""
        return self._noted_bytes < _NOTED_BYTES

    def take_noted(self, newest: Callable[[Ints], Packed]) -> dict[int, CandidateRows]:
        """Return by file, and forget, the noted rows that no newer one overrules so far."""
        taken = {}
        while self._noted:
            file, parts = self._noted.popitem()
            rows = CandidateRows.joined(parts)
            rows = rows.of(newest(rows.accounts) == rows.packed)
            if rows.places.size:
                taken[file] = rows
        self._noted_bytes = 0
        return taken

    def add(self, rows: CandidateRows, attributes: Any) -> None:
        """Take in rows, and a record batch of their attributes."""
        read = _as_read(rows, attributes)
        with self._adding:
            if self._read and read.schema != self._read[0].schema:
                self._make_plain()
            self._read.append(read)
            self._read_bytes += read.nbytes
            if self._read_bytes > _READ_BYTES:
                self._make_plain()

    def add_table(self, table: pa.Table, accounts: Ints) -> None:
        """Take in what `table` of another evaluation's part returned, which numbers accounts otherwise."""
        self.identify(accounts, table["id"].combine_chunks())
        with self._adding:
            self._rows.add(table.drop_columns("id").set_column(0, "account", pa.array(accounts)))

    def accounts(self) -> Ints:
        """Return the numbers of all accounts that have any candidate, ascending."""
        with self._adding:
            accounts: Ints = self._ids.reduced()["account"].to_numpy()
        return accounts

    def table(self) -> pa.Table:
        """Return those that were taken in, one for each account, with their ids."""
        with self._adding:
            self._make_plain()
            rows, ids = self._rows.reduced(), self._ids.reduced()
        places = np.searchsorted(ids["account"].to_numpy(), rows["account"].to_numpy())
        return rows.append_column("id", ids["id"].take(pa.array(places)))

    def _make_plain(self) -> None:
        if self._read:
            self._rows.add(_plain(pa.concat_batches(self._read)))
            self._read, self._read_bytes = [], 0


class _Parts:
    """Tables that are put together, and reduced, before there are too many rows or parts."""

    def __init__(self, schema: pa.Schema, reduce: Callable[[pa.Table], pa.Table]) -> None:
        self._reduce = reduce
        self._parts = [schema.empty_table()]
        self._loose_rows = 0
        self.nbytes = 0

    def add(self, part: pa.Table) -> None:
        self._parts.append(part)
        self._loose_rows += part.num_rows
        self.nbytes += part.nbytes
        if self._loose_rows > self._parts[0].num_rows + _LOOSE_ROWS or len(self._parts) > _LOOSE_PARTS:
            self.reduced()

    def reduced(self) -> pa.Table:
        if len(self._parts) > 1:
            whole = self._reduce(pa.concat_tables(self._parts).combine_chunks())
            self._parts, self._loose_rows, self.nbytes = [whole], 0, whole.nbytes
        return self._parts[0]


def _one_id_each(ids: pa.Table) -> pa.Table:
    _, first = np.unique(ids["account"].to_numpy(), return_index=True)
    return ids.take(pa.array(first))


def _as_read(rows: CandidateRows, attributes: Any) -> pa.RecordBatch:
    """Return rows with their attributes as they were read, but for long texts, and for dictionaries."""
    columns = {name: attributes.column(name) for name in (ARR, RENEWAL)}
    is_cut = np.zeros(rows.accounts.size, np.bool_)
    for name in (NAME, REGION, OWNER):
        known = name in attributes.schema.names
        text, cut = shortened(attributes.column(name) if known else pa.nulls(is_cut.size), TEXT_BYTES)
        columns[name] = as_bytes(text).cast(pa.large_binary())
        if cut is not None:
            is_cut |= cut
    return pa.record_batch({"account": rows.accounts, "packed": rows.packed, "is_cut": is_cut, **columns})


def _plain(read: pa.RecordBatch) -> pa.Table:
    columns = {
        "account": read.column("account"),
        "packed": read.column("packed"),
        "name": texts(read.column(NAME)),
        "region": texts(read.column(REGION)),
        "owner": texts(read.column(OWNER)),
        "renewal": known_days(read.column(RENEWAL)),
        "is_cut": read.column("is_cut"),
        **arr_columns(read.column(ARR)),
    }
    return pa.table(columns, COLUMNS)


def _one_each(rows: pa.Table) -> pa.Table:
    """Return for each account the candidate that counts."""
    rows = _without_blank_names(rows)
    accounts = rows["account"].to_numpy()
    order = np.argsort(accounts, kind="stable")
    first, lengths = _runs(accounts[order])
    if first.size == order.size:
        return rows
    packed = rows["packed"].to_numpy()[order]
    newest = order[packed == np.repeat(np.maximum.reduceat(packed, first), lengths)]
    first, lengths = _runs(accounts[newest])
    tied = newest[np.repeat(lengths > 1, lengths)]
    ranked = tied[pc.sort_indices(rows.take(pa.array(tied)), _PRECEDENCE).to_numpy()]
    kept = np.append(newest[first[lengths == 1]], ranked[_runs(accounts[ranked])[0]])
    return rows.take(pa.array(kept))


def _runs(ordered: Ints) -> tuple[Ints, Ints]:
    """Return where in ascending numbers each of them stands first, and how often it stands there."""
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: ordered.size])
    return first, np.diff(first, append=ordered.size)


def _without_blank_names(rows: pa.Table) -> pa.Table:
    """Make null of names of which there is nothing to see."""
    blank = pc.match_substring_regex(rows["name"], _BLANK)
    if not pc.any(blank).as_py():
        return rows
    return rows.set_column(COLUMNS.get_field_index("name"), "name", pc.if_else(blank, None, rows["name"]))
