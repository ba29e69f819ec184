"""Rules are a strategy: another way of counting takes the threshold's place, and nothing else changes."""

from collections.abc import Sequence
from pathlib import Path

from service.log_rules.episode import Episode, GroupKey
from service.log_rules.memory import Memory
from service.log_rules.rule import LogRule, Matched, Period, Rule
from tests.support.log_files import find, log_row, question_of, write_csv


class FirstSeen:
    """A rule that alerts once about each group that was never seen: the threshold is not even looked at."""

    def __init__(self, rule: Rule, period: Period, memory: Memory | None = None) -> None:
        self.columns = rule.columns
        self.duplicates = 0
        self.pending = 0
        self.kept = 0
        self.groups = 0
        self._period = period
        self._known = set((memory or Memory()).keys)
        self._first: dict[GroupKey, int] = {}

    def feed(self, matched: Matched) -> None:
        """Remember the first instant of each group."""
        keys = list(matched.keys)
        for time, place in zip(matched.times.tolist(), matched.group_of.tolist(), strict=True):
            key = keys[place]
            self._first[key] = min(time, self._first.get(key, time))

    @property
    def found(self) -> int:
        """Every group that was never seen."""
        return sum(key not in self._known for key in self._first)

    def forget(self) -> None:
        """Keep what was seen."""

    def instants(self, rows: int) -> Sequence[int]:
        """Take everything at once."""
        del rows
        return ()

    def settle(self, until_us: int) -> None:
        """Wait for nothing."""

    def facts(self) -> Sequence[Episode]:
        """Return a short episode for each new group."""
        return [
            Episode(
                group=key,
                onset=time,
                start=time,
                last=time,
                peak=1,
                peak_at=time,
                events=1,
                violations=1,
                known_until=time,
                continued=False,
                is_minimum=False,
            )
            for key, time in sorted(self._first.items())
            if key not in self._known
        ]

    def memory(self) -> Memory:
        """Return the groups that are known from now on."""
        return Memory(keys=(*self._known, *self._first))


async def test_a_second_strategy_goes_through_the_whole_evaluation(tmp_path: Path) -> None:
    """Reading, matching, times, the ledger and the episodes are those of any rule."""
    rows = [log_row(0, bundle="a"), log_row(1, bundle="b"), log_row(2, "error", "c"), log_row(3, bundle="a")]
    path = write_csv(tmp_path / "log.csv", rows)
    strategy: LogRule = FirstSeen(question_of().rules.rules[1], Period())
    assert isinstance(strategy, FirstSeen)
    found = await find(path, question_of(make=FirstSeen))
    assert [episode.group for episode in found.rules[1].episodes] == [("a",), ("b",)]
    assert found.rows.rules["bundle"].alerts == 2
