"""The threshold rule: more than so many events of a group within a window. Pure.

Rows are kept until it is certain that no earlier one will come; then they are counted and let go, but for
those that windows still to come may reach. What is kept at the end of a run is the beginning of the next one.
"""

from collections.abc import Sequence
from itertools import compress
from typing import Final, TypeAlias

import numpy as np

from service.log_rules.counting import Limits, chains
from service.log_rules.episode import Episode, Episodes, Instants, Mask, Numbers, alerts_due
from service.log_rules.memory import DisorderedError, Memory
from service.log_rules.rule import Matched, Period, Rule

ROW_BYTES: Final = 56
"""What a row takes at most while it is counted: its time, group, key, and the count of its window."""

_Rows: TypeAlias = tuple[Instants, Numbers, Instants]
"""Times, groups, and marks, of which there are none unless equal rows count once."""
_FEW_GROUPS: Final = 1 << 16
"""So many are kept in any case."""
_AT_ONCE: Final = 1 << 12
"""Episodes that become objects together."""
_NONE: Final[Instants] = np.zeros(0, np.int64)


class ThresholdRule:
    """Counts the events of one rule over one period."""

    def __init__(self, rule: Rule, period: Period, memory: Memory | None = None) -> None:
        """`memory` is what the run up to the beginning of the period left; None: there was none."""
        self.rule = rule
        self.columns = rule.columns
        self.duplicates = 0
        """Rows of the period that were equal to another."""
        self._limits = Limits(rule.more_than, rule.window_us, rule.quiet_us)
        self._period = period
        self._is_cold = memory is None
        memory = memory or Memory()
        self._numbers = {key: number for number, key in enumerate(memory.keys)}
        self._most_groups = max(2 * len(self._numbers), _FEW_GROUPS)
        self._settled = period.since_us
        self._times, self._marks = memory.times, memory.marks
        self._groups: Numbers = memory.group_of.astype(np.int32)
        self._opened = memory.opened
        self._closed: list[Episodes] = []
        self._closed_alerts = 0
        self._fed: list[_Rows] = []
        self.pending = 0
        """Rows that wait to be settled."""

    @property
    def kept(self) -> int:
        """Rows that were settled and are still within reach."""
        return int(self._times.size)

    @property
    def groups(self) -> int:
        """Groups of rows that wait or are within reach, and of episodes; at most as many others."""
        return len(self._numbers)

    @property
    def settled_us(self) -> int:
        """What lies before it has been decided."""
        return self._settled

    @property
    def found(self) -> int:
        """Episodes that began in this run so far, and reminders due in it."""
        return self._closed_alerts + alerts_due(self._opened, self.rule.repeat_us)

    def forget(self) -> None:
        """Let go of the episodes that are over, but for their number."""
        self._closed = []

    def feed(self, matched: Matched) -> None:
        """Take matched rows; those before the period fill the windows of those in it, and never violate."""
        times = matched.times
        if not times.size:
            return
        if self._settled > self._period.since_us and times.min() < self._settled:
            raise DisorderedError
        numbers = self._numbers
        number_of = np.array([numbers.setdefault(key, len(numbers)) for key in matched.keys], dtype=np.int32)
        groups = np.repeat(number_of, times.size) if number_of.size == 1 else number_of[matched.group_of]
        marks = _NONE if matched.marks is None else matched.marks
        self._fed.append((times, groups, marks))
        self.pending += times.size

    def instants(self, rows: int) -> Sequence[int]:
        """Return instants between which at most so many of the rows that wait lie, but for those that tie."""
        if self.pending <= rows:
            return ()
        places = range(rows, self.pending, rows)
        times = np.concatenate([times for times, _, _ in self._fed])
        times.partition(places)
        return [int(times[place]) for place in places]

    def settle(self, until_us: int) -> None:
        """Count everything before an instant."""
        if until_us <= self._settled:
            return
        self._take(until_us)
        self._drop_duplicates()
        times, groups, limits = self._times, self._groups, self._limits
        found = chains(times, groups, self._opened, self._settled, limits)
        if self._is_cold:
            # Without the rows before the period, what violates this early may have begun before it.
            unsure = self._period.since_us + limits.window + limits.quiet
            found["is_minimum"] |= found["start"] < unsure
        untouched = self._opened[~_go_on(self._opened, found)]
        opened = []
        for episodes in (untouched, found):
            is_open = episodes["last"] > until_us - limits.quiet
            opened.append(episodes[is_open])
            # Each copy counts where there are very many; mostly none of them is open.
            closed = episodes[~is_open] if is_open.any() else episodes
            self._closed.append(closed)
            self._closed_alerts += alerts_due(closed, self.rule.repeat_us)
        self._opened = np.sort(np.concatenate(opened), order="group")
        kept = times > until_us - limits.reach
        self._times, self._groups, self._marks = _at((times, groups, self._marks), kept)
        self._settled = until_us
        if len(self._numbers) > self._most_groups:
            self._drop_groups()

    def facts(self) -> Sequence[Episode]:
        """Return the episodes that had a violation in this run, by their start, then their group."""
        found = np.concatenate([*self._closed, self._opened])
        # There are not to be two of each.
        self._closed = [found[: found.size - self._opened.size]]
        seen = np.flatnonzero(~found["continued"] | (found["last"] > found["known_until"]))
        keys = list(self._numbers)
        rank = np.empty(len(keys), np.int64)
        rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
        order = seen[np.lexsort((rank[found["group"][seen]], found["start"][seen]))]
        names = [name for name in found.dtype.names or () if name != "group"]
        return [
            Episode(group=keys[group], **dict(zip(names, facts, strict=True)))
            for first in range(0, order.size, _AT_ONCE)
            for group, *facts in found[order[first : first + _AT_ONCE]].tolist()
        ]

    def memory(self) -> Memory:
        """Return what the next run has to know, once all before the end of the period is settled."""
        keys = list(self._numbers)
        # `np.unique` would load NumPy's masked arrays, and sort.
        is_used = np.zeros(len(keys), np.bool_)
        is_used[self._groups] = is_used[self._opened["group"]] = True
        used = np.flatnonzero(is_used)
        opened = self._opened.copy()
        opened["group"] = np.searchsorted(used, opened["group"])
        opened["known_until"] = opened["last"]
        opened["continued"] = True
        order = np.lexsort((self._groups, self._times))
        return Memory(
            keys=tuple(keys[number] for number in used.tolist()),
            times=self._times[order],
            group_of=np.searchsorted(used, self._groups[order]),
            marks=self._marks[order] if self._marks.size else self._marks,
            opened=opened,
        )

    def _take(self, until_us: int) -> None:
        """Move the rows before an instant from those that wait to those that are counted."""
        ready, waiting = [(self._times, self._groups, self._marks)], []
        for part in self._fed:
            is_ready = part[0] < until_us
            if is_ready.all():
                ready.append(part)
                continue
            ready.append(_at(part, is_ready))
            waiting.append(_at(part, ~is_ready))
        self._fed = waiting
        self._times, self._groups, self._marks = (np.concatenate(each) for each in zip(*ready, strict=True))
        self.pending = sum(times.size for times, _, _ in waiting)

    def _drop_groups(self) -> None:
        """Let go of the groups of no row and no episode: a log may have a new one in each row."""
        closed = np.concatenate(self._closed)
        is_used = np.zeros(len(self._numbers), np.bool_)
        fed = [groups for _, groups, _ in self._fed]
        for groups in (self._groups, self._opened["group"], closed["group"], *fed):
            is_used[groups] = True
        number_of = np.cumsum(is_used, dtype=np.int32) - 1
        self._groups = number_of[self._groups]
        self._fed = [(times, number_of[groups], marks) for times, groups, marks in self._fed]
        for episodes in (self._opened, closed):
            episodes["group"] = number_of[episodes["group"]]
        self._closed = [closed]
        kept = compress(self._numbers, is_used.tolist())
        self._numbers = {key: number for number, key in enumerate(kept)}
        self._most_groups = max(2 * len(self._numbers), _FEW_GROUPS)

    def _drop_duplicates(self) -> None:
        """Keep one of each set of equal rows."""
        if not self._marks.size:
            return
        order = np.lexsort((self._marks, self._groups, self._times))
        times, groups, marks = self._times[order], self._groups[order], self._marks[order]
        first = np.ones(order.size, np.bool_)
        first[1:] = np.any([each[1:] != each[:-1] for each in (times, groups, marks)], axis=0)
        self.duplicates += int((~first & (times >= self._settled)).sum())
        self._times, self._groups, self._marks = times[first], groups[first], marks[first]


def _at(part: _Rows, rows: Mask) -> _Rows:
    times, groups, marks = part
    return times[rows], groups[rows], marks[rows] if marks.size else marks


def _go_on(opened: Episodes, found: Episodes) -> Mask:
    """Return which open episodes are among those that were found."""
    if not found.size:
        return np.zeros(opened.size, np.bool_)
    # The first chain of a group is the one that went on with its open episode.
    first = found[np.minimum(np.searchsorted(found["group"], opened["group"]), found.size - 1)]
    going: Mask = (first["group"] == opened["group"]) & (first["start"] == opened["start"])
    return going
