"""The tally: parts of a log are taken in their order, each row into the ledger, each match to its rules."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.domain.errors import MemoryLimitExceededError
from service.log_rules.episode import Instants, Mask
from service.log_rules.findings import (
    MOST_VALUES,
    LogFindings,
    LogOptions,
    LogQuestion,
    RuleFindings,
    folded,
    wanted_values,
)
from service.log_rules.ledger import LogRows, RuleRows
from service.log_rules.reading.log_files import Part
from service.log_rules.reading.matching import RuleMatches
from service.log_rules.reading.read_again import RowsReadAgain
from service.log_rules.reading.times import TimeStatus
from service.log_rules.rule import FIRST_US, Matched
from service.log_rules.threshold import ROW_BYTES
from service.sources.source import SourceFile

_MEGABYTE: Final = 1 << 20


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
        self._lateness = [0] * len(self._counters)
        self._again = [
            RowsReadAgain(memory, reach_us=rule.reach_us, since_us=period.since_us)
            if (memory := before.memories.get(rule.id)) is not None
            else None
            for rule in question.rules.rules
        ]
        self._values: dict[str, Counter[str]] = {}
        self._newest = FIRST_US
        self._is_full = False
        self._needed_rows = 0
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
        is_known = part.file.path in self._question.before.files
        for matches in part.matches:
            for place, found in enumerate(matches):
                self._feed(place, found, is_known=is_known)
        if part.newest is not None:
            self._newest = max(self._newest, part.newest)
        self._settle()

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
            else:
                if again is not None:
                    again.add(matched, is_before)
                rows.outside_period += before
                matched, before = _only(matched, ~is_before), 0
        inside = matched.times.size - before
        rows.counted += inside
        if inside:
            first, last = max(int(matched.times.min()), since), int(matched.times.max())
            span = self.span or (first, last)
            self.span = min(first, span[0]), max(last, span[1])
        self._needed_rows += matched.times.size
        limit = self._options.memory_limit_mb
        if self._collect and limit is not None and self._needed_rows * ROW_BYTES > limit * _MEGABYTE:
            self._is_full = True  # the rest is only counted, to say what is needed
        if not self._is_full:
            counter.feed(matched)

    def _note_late(self, place: int, times: Instants) -> None:
        rule = self._question.rules.rules[place]
        self._rows.rules[rule.id].late += times.size
        lateness = self._question.period.since_us - int(times.min())
        self._lateness[place] = max(self._lateness[place], lateness)

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
                counter.settle(step.newest)
                step.newest, step.waiting = newest, counter.pending

    def check_memory(self) -> None:
        """Raise MemoryLimitExceededError where the rows that were to be collected were too many."""
        if self._is_full:
            needed = -(-self._needed_rows * ROW_BYTES // _MEGABYTE)
            limit = self._options.memory_limit_mb
            raise MemoryLimitExceededError(
                f"the rows come in such disorder that all {self._needed_rows:,} matched ones have to be "
                f"collected, which takes {needed:,} MB, more than MEMORY_LIMIT_MB={limit}; "
                "sort the files by time, or raise source.lateness"
            )

    def findings(self, files: Sequence[SourceFile]) -> LogFindings:
        """Settle what is left, and return all that was found; raises DisorderedError as `take` does."""
        self._take_late()
        found = []
        for counter, rule, lateness in zip(
            self._counters, self._question.rules.rules, self._lateness, strict=True
        ):
            counter.settle(self._question.period.until_us)
            episodes = counter.facts()
            rows = self._rows.rules[rule.id]
            rows.duplicates = counter.duplicates
            rows.counted -= counter.duplicates
            rows.episodes = len(episodes)
            rows.continued = sum(episode.continued for episode in episodes)
            rows.alerts = rows.episodes - rows.continued
            found.append(
                RuleFindings(
                    rule=rule, rows=rows, episodes=episodes, counter=counter, largest_lateness_us=lateness
                )
            )
        self._rows.check()
        return LogFindings(
            rows=self._rows,
            rules=found,
            values=self._values,
            files=files,
            span=self.span,
            collected=self._collect,
        )


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
