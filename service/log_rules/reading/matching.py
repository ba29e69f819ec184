"""Matching: which rows of a batch each rule wants, and what they say of it: time, group, and mark. Pure."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.log_rules.episode import GroupKey, Instants, Mask, Numbers
from service.log_rules.reading.times import Statuses, TimeStatus, parsed_times
from service.log_rules.rule import LogSource, Matched, Period, Rule
from service.sources.parquet.text import as_bytes, encoded

Columns: TypeAlias = Mapping[str, Any]
"""Arrow arrays of one length, by name."""

Where: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""As `Rule.where`."""
Masks: TypeAlias = Mapping[Where, Mask]
"""Which rows of a batch match, by what they have to match."""

_FEW: Final = 8
"""So many values are counted sooner by as many passes over a batch, which lies in the cache."""
_TEXTS: Final = (
    pa.types.is_null,
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
)


@dataclass(slots=True, kw_only=True)
class RuleMatches:
    """What one rule wants of a batch."""

    statuses: Sequence[int]
    """How many rows have times of each `TimeStatus`."""
    after: int
    """Rows after the end of the period."""
    matched: Matched
    """Rows with usable times before the end of the period, also those before its beginning."""


class Matcher:
    """Looks at batches for a set of rules; safe to use from several threads."""

    def __init__(self, source: LogSource, rules: Sequence[Rule], period: Period) -> None:
        self._source = source
        self._rules = rules
        self._period = period
        self.filters = tuple(dict.fromkeys(column for rule in rules for column, _ in rule.where))
        """The columns that say whether a row matches."""
        others = (
            source.time_column,
            *(name for rule in rules for name in rule.group_by),
            *source.deduplicate,
        )
        self.others = tuple(dict.fromkeys(others))
        """The columns that are read of rows that match."""
        is_text = source.time_column in (*self.filters, *others[1:])
        self.instants = () if is_text or source.time_format != "iso8601" else (source.time_column,)
        """Those of them that may be read as `INSTANT`, where that is possible."""

    def masks(self, columns: Columns, rows: int) -> tuple[Masks, Mask, dict[str, Counter[str]]]:
        """Return which rows match, by `where`, which match any, and the values of the filter's columns."""
        encoded = {name: _encoded(columns[name]) for name in self.filters}
        values = {name: _counted(codes, known) for name, (codes, known) in encoded.items()}
        # Rules that want the same rows share one mask.
        masks = {rule.where: np.ones(rows, np.bool_) for rule in self._rules}
        for where in masks:
            for name, wanted in where:
                codes, known = encoded[name]
                masks[where] &= _any_of(codes, np.array([value in wanted for value in known], np.bool_))
        union = next(iter(masks.values())) if len(masks) == 1 else np.logical_or.reduce([*masks.values()])
        return masks, union, values

    def matches(
        self, columns: Columns, masks: Masks, union: Mask
    ) -> tuple[Sequence[RuleMatches], int | None]:
        """Return what each rule wants of the rows in `union`, of which `columns` has the others."""
        us, status = parsed_times(columns[self._source.time_column], self._source.time_format)
        usable = status == TimeStatus.OK
        known = us if usable.all() else us[usable]
        newest = int(known.max()) if known.size else None
        in_time = usable & (us < self._period.until_us)
        chosen = {
            where: _Chosen.among(us, status, in_time, None if mask is union else mask[union])
            for where, mask in masks.items()
        }
        marks = _marks(columns, self._source.deduplicate)
        groups = {rule.group_by: _groups(columns, rule.group_by, us.size) for rule in self._rules}
        found = []
        for rule in self._rules:
            mine = chosen[rule.where]
            group_of, keys = groups[rule.group_by]
            matched = Matched(
                times=mine.times,
                group_of=_at(group_of, mine.rows),
                keys=keys,
                marks=None if marks is None else _at(marks, mine.rows),
            )
            found.append(RuleMatches(statuses=mine.statuses, after=mine.after, matched=matched))
        return found, newest


class _Chosen(NamedTuple):
    """The rows that one `where` chooses of those in a union."""

    statuses: Sequence[int]
    after: int
    times: Instants
    rows: Mask | None
    """Those with usable times before the end of the period; None: all."""

    @classmethod
    def among(cls, us: Instants, status: Statuses, in_time: Mask, mine: Mask | None) -> Self:
        if mine is not None:
            status, in_time = status[mine], in_time & mine
        statuses = [int(np.count_nonzero(status == one)) for one in TimeStatus]
        after = statuses[TimeStatus.OK] - int(np.count_nonzero(in_time))
        rows = None if in_time.all() else in_time
        return cls(statuses, after, _at(us, rows), rows)


def _at(values: Numbers, rows: Mask | None) -> Numbers:
    return values if rows is None else values[rows]


def _counted(codes: Numbers, known: Sequence[str]) -> Counter[str]:
    """Count the values of a column."""
    counts: Counter[str] = Counter()
    for value, count in zip(known, _counts(codes, len(known)), strict=True):
        # Two texts that are not UTF-8 may be shown alike.
        if count:
            counts[value] += count
    return counts


def _counts(codes: Numbers, size: int) -> list[int]:
    """Return how often there is each number below `size`."""
    if size > _FEW:
        return [int(count) for count in np.bincount(codes, minlength=size)]
    return [int(np.count_nonzero(codes == code)) for code in range(size)]


def _any_of(codes: Numbers, is_wanted: Mask) -> Mask:
    """Return which rows have a number that is wanted."""
    places = np.flatnonzero(is_wanted)
    if places.size == 1:
        found: Mask = codes == places[0]
        return found
    return is_wanted[codes]


def _encoded(column: Any) -> tuple[Any, list[str]]:
    """Return a column as numbers, and the text that each number stands for; null is the empty text."""
    distinct, places = encoded(_as_text(column))
    known = [(value or b"").decode("utf-8", "replace") for value in distinct.to_pylist()]
    if places.size and places.min() < 0:
        places = np.where(places < 0, len(known), places)
        known.append("")
    return places, known


def _as_text(column: Any) -> Any:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if any(is_text(kind) for is_text in _TEXTS):
        return column
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    # Bytes of one length need not be UTF-8 either.
    return column.cast(pa.binary() if pa.types.is_fixed_size_binary(column.type) else pa.string())


def _groups(columns: Columns, group_by: Sequence[str], rows: int) -> tuple[Numbers, list[GroupKey]]:
    """Return a number for each row by its values of some columns, and the values behind each number."""
    numbers: Numbers = np.zeros(rows, np.int32)
    keys: list[GroupKey] = [()]
    for name in group_by:
        codes, known = _encoded(columns[name])
        count = len(known)
        joint = codes if len(keys) == 1 else numbers * np.int64(count) + codes
        size = len(keys) * count
        # A dictionary may hold many values that no matched row has.
        if size <= max(4 * rows, 1_024):
            is_used = np.zeros(size, np.bool_)
            is_used[joint] = True
            used = np.flatnonzero(is_used)
            numbers = joint if used.size == size else (np.cumsum(is_used, dtype=np.int32) - 1)[joint]
        else:
            used, numbers = np.unique(joint, return_inverse=True)
        keys = [(*keys[one // count], known[one % count]) for one in used.tolist()]
    return numbers, keys


def _in_utf_8(text: Any) -> Any:
    """Return texts with replacements for what is no UTF-8: rows that are shown alike are equal."""
    try:
        text.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array(
            [value.decode("utf-8", "replace").encode() for value in text.to_pylist()], pa.binary()
        )
    return text


def _marks(columns: Columns, names: Sequence[str]) -> Instants | None:
    """Return a number for each row that rows share which are equal in some columns, in every run."""
    if not names:
        return None
    texts = [_in_utf_8(as_bytes(_as_text(columns[name])).cast(pa.binary()).fill_null(b"")) for name in names]
    # With the length before each value, no two rows of different values join to the same bytes.
    parts = [
        part for text in texts for part in (pc.binary_length(text).cast(pa.string()).cast(pa.binary()), text)
    ]
    joined = pc.binary_join_element_wise(*parts, b":").dictionary_encode()
    hashes = [hashlib.blake2b(value, digest_size=8).digest() for value in joined.dictionary.to_pylist()]
    marks: Instants = np.frombuffer(b"".join(hashes), np.int64)[joined.indices.to_numpy()]
    return marks
