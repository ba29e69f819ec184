"""Matching: which rows of a batch each rule wants, and what they say of it: time, group, and mark. Pure."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.log_rules.episode import GroupKey, Instants, Mask, Numbers
from service.log_rules.reading.times import Statuses, TimeStatus, parsed_times
from service.log_rules.rule import LogSource, Matched, Period, Rule
from service.sources.parquet.text import as_bytes, encoded

Columns: TypeAlias = Mapping[str, Any]
"""Arrow arrays of one length, by name."""

_TEXTS: Final = (
    pa.types.is_null,
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
)


@dataclass(slots=True, kw_only=True)
class RuleMatches:
    """What one rule wants of a batch."""

    rows: int = 0
    times: Statuses
    """Of each row, a `TimeStatus`."""
    matched: Matched
    """Rows with usable times before the end of the period, also those before its beginning."""
    after: int = 0
    """Rows after the end of the period."""


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

    def masks(self, columns: Columns, rows: int) -> tuple[list[Mask], Mask, dict[str, Counter[str]]]:
        """Return which rows each rule matches, which any does, and the values of the filter's columns."""
        encoded = {name: _encoded(columns[name]) for name in self.filters}
        values = {
            name: Counter(
                {
                    value: int(count)
                    for value, count in zip(known, np.bincount(codes, minlength=len(known)), strict=True)
                    if count
                }
            )
            for name, (codes, known) in encoded.items()
        }
        # Rules that want the same rows share one mask.
        of_where = {rule.where: np.ones(rows, np.bool_) for rule in self._rules}
        for where in of_where:
            for name, wanted in where:
                codes, known = encoded[name]
                of_where[where] &= np.array([value in wanted for value in known], np.bool_)[codes]
        distinct = list(of_where.values())
        union = distinct[0] if len(distinct) == 1 else np.logical_or.reduce(distinct)
        masks = [of_where[rule.where] for rule in self._rules]
        return masks, union, values

    def matches(
        self, columns: Columns, masks: Sequence[Mask], union: Mask
    ) -> tuple[Sequence[RuleMatches], int | None]:
        """Return what each rule wants of the rows in `union`, of which `columns` has the others."""
        us, status = parsed_times(columns[self._source.time_column], self._source.time_format)
        usable = status == TimeStatus.OK
        newest = int(us[usable].max()) if usable.any() else None
        in_time = usable & (us < self._period.until_us)
        marks = _marks(columns, self._source.deduplicate)
        groups = {rule.group_by: _groups(columns, rule.group_by, us.size) for rule in self._rules}
        found = []
        for rule, mask in zip(self._rules, masks, strict=True):
            is_mine = np.ones(us.size, np.bool_) if mask is union else mask[union]
            wanted = is_mine & in_time
            group_of, keys = groups[rule.group_by]
            everything = bool(wanted.all())
            found.append(
                RuleMatches(
                    rows=int(is_mine.sum()),
                    times=status[is_mine],
                    matched=Matched(
                        times=us if everything else us[wanted],
                        group_of=group_of if everything else group_of[wanted],
                        keys=keys,
                        marks=None if marks is None else marks[wanted],
                    ),
                    after=int((is_mine & usable).sum() - wanted.sum()),
                )
            )
        return found, newest


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
    return column.cast(pa.string())


def _groups(columns: Columns, group_by: Sequence[str], rows: int) -> tuple[Numbers, list[GroupKey]]:
    """Return a number for each row by its values of some columns, and the values behind each number."""
    numbers: Numbers = np.zeros(rows, np.int64)
    keys: list[GroupKey] = [()]
    for name in group_by:
        codes, known = _encoded(columns[name])
        joint = numbers * len(known) + codes
        # A dictionary may hold many values that no matched row has.
        if len(keys) * len(known) <= max(4 * rows, 1_024):
            used = np.flatnonzero(np.bincount(joint))
            renumber = np.zeros(len(keys) * len(known), np.int64)
            renumber[used] = np.arange(used.size)
            numbers = renumber[joint]
        else:
            used, numbers = np.unique(joint, return_inverse=True)
        keys = [(*keys[one // len(known)], known[one % len(known)]) for one in used.tolist()]
    return numbers, keys


def _marks(columns: Columns, names: Sequence[str]) -> Instants | None:
    """Return a number for each row that rows share which are equal in some columns, in every run."""
    if not names:
        return None
    texts = [as_bytes(_as_text(columns[name])).cast(pa.binary()).fill_null(b"") for name in names]
    # With the length before each value, no two rows of different values join to the same bytes.
    parts = [
        part for text in texts for part in (pc.binary_length(text).cast(pa.string()).cast(pa.binary()), text)
    ]
    joined = pc.binary_join_element_wise(*parts, b":").dictionary_encode()
    hashes = [hashlib.blake2b(value, digest_size=8).digest() for value in joined.dictionary.to_pylist()]
    marks: Instants = np.frombuffer(b"".join(hashes), np.int64)[joined.indices.to_numpy()]
    return marks
