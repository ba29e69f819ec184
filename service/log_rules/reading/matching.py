"""Matching: which rows of a batch each rule wants, and what they say of it: time, group, and mark. Pure."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.log_rules.episode import Instants, Mask, Numbers
from service.log_rules.reading.groups import as_text, groups_of, places_of, texts
from service.log_rules.reading.times import Statuses, TimeStatus, parsed_times
from service.log_rules.rule import LogSource, Matched, Period, Rule
from service.sources.parquet.text import as_bytes

Columns: TypeAlias = Mapping[str, Any]
"""Arrow arrays of one length, by name."""

Where: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""As `Rule.where`."""
Masks: TypeAlias = Mapping[Where, Mask]
"""Which rows of a batch match, by what they have to match."""

_FEW: Final = 8
"""So many values are counted sooner by as many passes over a batch, which lies in the cache."""


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
        encoded = {}
        for name in self.filters:
            codes, distinct = places_of(columns[name])
            encoded[name] = codes, texts(distinct)
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
        groups = {rule.group_by: groups_of(columns, rule.group_by, us.size) for rule in self._rules}
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
    texts = [_in_utf_8(as_bytes(as_text(columns[name])).cast(pa.binary()).fill_null(b"")) for name in names]
    # With the length before each value, no two rows of different values join to the same bytes.
    parts = [
        part for text in texts for part in (pc.binary_length(text).cast(pa.string()).cast(pa.binary()), text)
    ]
    joined = pc.binary_join_element_wise(*parts, b":").dictionary_encode()
    hashes = [hashlib.blake2b(value, digest_size=8).digest() for value in joined.dictionary.to_pylist()]
    marks: Instants = np.frombuffer(b"".join(hashes), np.int64)[joined.indices.to_numpy()]
    return marks
