"""The tally: parts of a log are taken in their order, each row into the ledger, each match to its rules."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from service.domain.errors import MemoryLimitExceededError
from service.log_rules.episode import Instants, Mask
from service.log_rules.findings import (
    MOST_VALUES,
    LogFindings,
    LogOptions,
    LogQuestion,
    RuleFindings,
    folded,
    known_as,
    wanted_values,
)
from service.log_rules.ledger import LogRows, RuleRows
from service.log_rules.memory import AGAIN_BYTES, FOUND_BYTES, GROUP_BYTES, KEPT_BYTES, LEAST_STEPS
from service.log_rules.reading.log_files import Part
from service.log_rules.reading.matching import RuleMatches
from service.log_rules.reading.read_again import RowsReadAgain
from service.log_rules.reading.times import TimeStatus
from service.log_rules.rule import FIRST_US, LogRule, Matched
from service.log_rules.threshold import ROW_BYTES
from service.sources.source import SourceFile

_MEGABYTE: Final = 1 << 20
_MOST_STEPS: Final = 16
"""Rows that windows still reach are counted again in each step at the end."""
_SECOND: Final = 1_000_000


class Tally:
    """What has been found so far; for one thread."""

    def __init__(self, question: LogQuestion, options: LogOptions, *, collect: bool) -> None:
        self._question = question
        self._options = options
        self._collect = collect
        before, period = question.before, question.period
        self._counters = [
            question.make(rule, period, before.memories.get(rule.id)) for rule in question.rules.rules
        ]
        self._rows = LogRows(rules={rule.id: RuleRows() for rule in question.rules.rules})
        self._steps = [_Step() for _ in self._counters]
        self._again = [
            RowsReadAgain(memory, reach_us=rule.reach_us, since_us=period.since_us)
            if (memory := before.memories.get(rule.id)) is not None
            else None
            for rule in question.rules.rules
        ]
        self._limit = _MemoryLimit(options, self._counters, self._again, collect=collect)
        self._values: dict[str, Counter[str]] = {}
        self._newest = FIRST_US
        self._wanted = wanted_values(question.rules.rules)
        self.span: tuple[int, int] | None = None

    def take(self, part: Part) -> None:
        """Take the next part; raises DisorderedError unless rows are collected."""
        rows = self._rows
        rows.rows_in_source += part.rows + part.malformed
        rows.malformed += part.malformed
        rows.matched += part.matched
        rows.unmatched += part.rows - part.matched
        for name, counts in part.values.items():
            self._see(name, counts)
        is_known = known_as(part.file.path) in self._question.before.files
        for matches in part.matches:
            for place, found in enumerate(matches):
                self._feed(place, found, is_known=is_known)
        if part.newest is not None:
            self._newest = max(self._newest, part.newest)
        self._settle()
        self._limit.look()

    def _see(self, name: str, counts: Counter[str]) -> None:
        """Count the values of a column: of one that has too many, those that were seen and near misses."""
        seen = self._values.setdefault(name, Counter())
        for value, count in counts.items():
            if len(seen) <= MOST_VALUES or value in seen or folded(value) in self._wanted[name]:
                seen[value] += count

    def _feed(self, place: int, found: RuleMatches, *, is_known: bool) -> None:
        counter, rule = self._counters[place], self._question.rules.rules[place]
        rows, matched = self._rows.rules[rule.id], found.matched
        rows.matched += sum(found.statuses)
        rows.time_null += found.statuses[TimeStatus.NULL]
        rows.time_unparsable += found.statuses[TimeStatus.UNPARSABLE]
        rows.time_out_of_range += found.statuses[TimeStatus.OUT_OF_RANGE]
        rows.outside_period += found.after
        since = self._question.period.since_us
        before = 0
        if since > FIRST_US and matched.times.size and matched.times.min() < since:
            is_before = matched.times < since
            before = int(is_before.sum())
            again = self._again[place]
            if again is not None and not is_known:
                self._note_late(place, matched.times[is_before])
                # Those that no window of the period reaches would only take memory.
                matters = matched.times > since - rule.reach_us
                before -= int(np.count_nonzero(~matters))
                matched = _only(matched, matters)
            else:
                if again is not None:
                    again.add(matched, is_before, keep=not self._limit.is_full)
                rows.outside_period += before
                matched, before = _only(matched, ~is_before), 0
        inside = matched.times.size - before
        rows.counted += inside
        if inside:
            first, last = max(int(matched.times.min()), since), int(matched.times.max())
            span = self.span or (first, last)
            self.span = min(first, span[0]), max(last, span[1])
        if self._limit.takes(matched.times.size):
            counter.feed(matched)

    def _note_late(self, place: int, times: Instants) -> None:
        rows = self._rows.rules[self._question.rules.rules[place].id]
        rows.late += times.size
        lateness_s = (self._question.period.since_us - int(times.min())) / _SECOND
        rows.largest_lateness_s = max(rows.largest_lateness_s, lateness_s)

    def _take_late(self) -> None:
        """Take the late rows of files that were read before; raises DisorderedError as `take` does."""
        for place, again in enumerate(self._again):
            late = None if again is None else again.late()
            if late is not None:
                rows = self._rows.rules[self._question.rules.rules[place].id]
                rows.outside_period -= late.times.size
                self._note_late(place, late.times)
                self._counters[place].feed(late)

    def _settle(self) -> None:
        if self._collect:
            return
        newest = min(self._newest - self._question.rules.source.lateness_us, self._question.period.until_us)
        for counter, step in zip(self._counters, self._steps, strict=True):
            # What is kept is counted again each time: the more it is, the more comes together before.
            if counter.pending - step.waiting >= max(self._options.settle_rows, counter.kept):
                for until in self._limit.steps(counter):
                    if until < step.newest:
                        counter.settle(until)
                        self._limit.look()
                counter.settle(step.newest)
                step.newest, step.waiting = newest, counter.pending

    def findings(self, files: Sequence[SourceFile]) -> LogFindings:
        """Settle what is left, and return all that was found; raises DisorderedError as `take` does.

        Raises MemoryLimitExceededError before anything is made of what there is no memory for.
        """
        self._limit.check_rows()
        self._take_late()
        for counter in self._counters:
            for until in (*self._limit.steps(counter), self._question.period.until_us):
                counter.settle(until)
                self._limit.look()
        self._limit.check_alerts()
        found = []
        for counter, rule in zip(self._counters, self._question.rules.rules, strict=True):
            episodes = counter.facts()
            rows = self._rows.rules[rule.id]
            rows.duplicates = counter.duplicates
            rows.counted -= counter.duplicates
            rows.episodes = len(episodes)
            rows.continued = sum(episode.continued for episode in episodes)
            rows.alerts = rows.episodes - rows.continued
            found.append(RuleFindings(rule=rule, rows=rows, episodes=episodes, counter=counter))
        self._rows.check()
        return LogFindings(
            rows=self._rows,
            rules=found,
            values=self._values,
            files=files,
            span=self.span,
            collected=self._collect,
        )


class _MemoryLimit:
    """What the counting holds: beyond `MEMORY_LIMIT_MB` it is only counted, and refused at the end."""

    def __init__(
        self,
        options: LogOptions,
        counters: Sequence[LogRule],
        again: Sequence[RowsReadAgain | None],
        *,
        collect: bool,
    ) -> None:
        self._limit = options.memory_limit_mb
        self._alert_bytes = options.alert_bytes
        # A plan states these as what counting takes in any case.
        self._free = 2 * options.settle_rows
        self._counters = counters
        self._again = [each for each in again if each is not None]
        self._collect = collect
        self._least_at_once = max(options.settle_rows // LEAST_STEPS, 1)
        self._rows = self._held = 0
        self._groups_a_row = 0.0
        self.is_full = self._are_too_many = False

    def takes(self, rows: int) -> bool:
        """Count rows that are to be held; returns False where there is no memory for them."""
        self._rows += rows
        if self._collect and not self.is_full:
            self._note(self._rows * ROW_BYTES)
        return not self.is_full

    def _note(self, row_bytes: int) -> None:
        groups = sum(counter.groups for counter in self._counters)
        self._held = row_bytes + groups * GROUP_BYTES + self._again_bytes
        self.is_full = self._exceeds(self._held)
        self._groups_a_row = groups / max(self._rows, 1)

    def steps(self, counter: LogRule) -> Sequence[int]:
        """Return instants between which what waits is settled: each row may be an episode."""
        if self._limit is None:
            return ()
        left = self._limit * _MEGABYTE - self._held
        most = max(left // FOUND_BYTES, self._least_at_once, -(-counter.pending // _MOST_STEPS))
        return counter.instants(most)

    def look(self) -> None:
        """Look at what is held after a step of counting."""
        if not self._collect and not self.is_full:
            held = [max(one.kept + one.pending - self._free, 0) for one in self._counters]
            # All are kept, and those of one rule are counted at a time.
            self._note(sum(held) * KEPT_BYTES + max(held) * (ROW_BYTES - KEPT_BYTES))
        if self._are_too_many or self._exceeds(self._alerts * self._alert_bytes):
            self._are_too_many = True
            for counter in self._counters:
                counter.forget()

    def check_rows(self) -> None:
        """Raise MemoryLimitExceededError where rows were too many."""
        if self.is_full:
            # Of groups nothing is known but how many there were until then.
            each = ROW_BYTES + self._groups_a_row * GROUP_BYTES
            needed = _megabytes(round(self._rows * each) + self._again_bytes)
            raise MemoryLimitExceededError(
                f"the rows come in such disorder that all {self._rows:,} matched ones have to be "
                f"collected, which takes {needed:,} MB, more than MEMORY_LIMIT_MB={self._limit}; "
                "sort the files by time, raise source.lateness, or group by fewer values"
                if self._collect
                else "the rows that windows reach, or that source.lateness lets wait, take more than "
                f"MEMORY_LIMIT_MB={self._limit}; all {self._rows:,} matched ones would take {needed:,} MB; "
                "shorten the windows, lower source.lateness, or group by fewer values"
            )

    def check_alerts(self) -> None:
        """Raise MemoryLimitExceededError where episodes and reminders were too many."""
        if self._are_too_many:
            alerts, needed = self._alerts, _megabytes(self._alerts * self._alert_bytes)
            raise MemoryLimitExceededError(
                f"{alerts:,} episodes and reminders of the period take {needed:,} MB, more than "
                f"MEMORY_LIMIT_MB={self._limit}; raise the rules' thresholds, or group by fewer values"
            )

    @property
    def _again_bytes(self) -> int:
        return sum(each.rows for each in self._again) * AGAIN_BYTES

    @property
    def _alerts(self) -> int:
        return sum(counter.found for counter in self._counters)

    def _exceeds(self, needed: int) -> bool:
        return self._limit is not None and needed > self._limit * _MEGABYTE


def _megabytes(size: int) -> int:
    return -(-size // _MEGABYTE)


@dataclass(slots=True)
class _Step:
    """The last time that a rule settled: what came since waits, as rows may stand in any order until then."""

    newest: int = FIRST_US
    """The newest instant then, less the lateness: what the next step settles up to."""
    waiting: int = 0
    """Rows that waited after it."""


def _only(matched: Matched, rows: Mask) -> Matched:
    marks = matched.marks
    return Matched(
        times=matched.times[rows],
        group_of=matched.group_of[rows],
        keys=matched.keys,
        marks=None if marks is None else marks[rows],
    )
