"""The threshold rule gives what the definition gives, in whatever order rows come and runs are split."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.log_rules.episode import Episode
from service.log_rules.memory import DisorderedError, Memory
from service.log_rules.rule import Matched, Period, Rule
from service.log_rules.threshold import ThresholdRule
from tests.support.log_oracle import Event, oracle_episodes

DAY = 86_400_000_000


def rule_of(*, more_than: int = 2, window: int = 10, quiet: int = 10, repeat: int | None = None) -> Rule:
    """Return a rule of small numbers."""
    return Rule(
        id="r",
        title="{peak}",
        where=(("severity", ("fatal",)),),
        group_by=("bundle_id",),
        more_than=more_than,
        window_us=window,
        quiet_us=quiet,
        repeat_us=repeat,
    )


def matched(events: Sequence[Event], marks: Sequence[int] | None = None) -> Matched:
    """Return events as a batch would give them: with group numbers of its own."""
    keys = sorted({group for group, _ in events}, reverse=True)
    places = {key: place for place, key in enumerate(keys)}
    return Matched(
        times=np.array([time for _, time in events], np.int64),
        group_of=np.array([places[group] for group, _ in events], np.int64),
        keys=keys,
        marks=None if marks is None else np.array(marks, np.int64),
    )


def counted(
    rule: Rule, events: Sequence[Event], period: Period, memory: Memory | None
) -> tuple[Sequence[Episode], Memory]:
    """Run a rule over the events of a period; the number of its alerts is known before they are made."""
    run = ThresholdRule(rule, period, memory)
    run.feed(matched([event for event in events if period.since_us <= event[1] < period.until_us]))
    run.settle(period.until_us)
    alerts = [(not one.continued) + len(one.reminders(rule.repeat_us)) for one in run.facts()]
    assert run.found == sum(alerts)
    return run.facts(), run.memory()


rules = st.builds(
    rule_of,
    more_than=st.integers(0, 4),
    window=st.integers(1, 12),
    quiet=st.integers(1, 12),
    repeat=st.none() | st.integers(12, 30),
)
groups = st.sampled_from([("a",), ("b",), ("",)])
# Few instants, so that there are ties and steps of exactly a window; both sides of 1970.
events_lists = st.lists(st.tuples(groups, st.integers(-40, 40)), max_size=60)


@given(rule=rules, events=events_lists)
def test_one_run_gives_what_the_definition_gives(rule: Rule, events: list[Event]) -> None:
    """All facts of all episodes; hypothesis chooses the order of the rows."""
    found, _ = counted(rule, events, Period(), Memory())
    assert found == oracle_episodes(rule, events)


@pytest.mark.parametrize("seed", range(8))
def test_the_peak_of_a_long_episode_is_found_wherever_it_is(seed: int) -> None:
    """Hundreds of violations follow each other, with ties, and the most crowded window is any of them."""
    chance = np.random.default_rng(seed)
    rule = rule_of(more_than=3, window=40, quiet=40)
    steps = chance.choice([0, 1, 2, 9], 400, p=chance.dirichlet([1, 1, 1, 1]))
    names = chance.choice([0, 1], 400, p=[0.2, 0.8]).tolist()
    events = [((str(name),), at) for name, at in zip(names, np.cumsum(steps).tolist(), strict=True)]
    assert counted(rule, events, Period(), Memory())[0] == oracle_episodes(rule, events)


@given(rule=rules, events=events_lists, cuts=st.lists(st.integers(-45, 45), max_size=6))
def test_rows_that_come_in_order_are_counted_as_they_come(
    rule: Rule, events: list[Event], cuts: list[int]
) -> None:
    """Settled in steps of any size, the rows of each step in any order, they give the same."""
    run = ThresholdRule(rule, Period(), Memory())
    left = list(events)
    for cut in [*sorted(cuts), 100]:
        step = [event for event in left if event[1] < cut]
        left = [event for event in left if event[1] >= cut]
        # Rows ahead of the step may be there already.
        run.feed(matched(step + left[:2]))
        left = left[2:]
        run.settle(cut)
    assert run.facts() == oracle_episodes(rule, events)


@given(rule=rules, events=events_lists, cuts=st.sets(st.integers(-45, 45), max_size=5))
def test_split_runs_are_one_run(rule: Rule, events: list[Event], cuts: set[int]) -> None:
    """Each run goes on from what the one before remembered; together they say what one run says."""
    bounds = [-1_000, *sorted(cuts), 1_000]
    memory = Memory()
    last_said: dict[tuple[tuple[str, ...], int], Episode] = {}
    begun = []
    for since, until in pairwise(bounds):
        found, memory = counted(rule, events, Period(since_us=since, until_us=until), memory)
        for episode in found:
            identity = (episode.group, episode.start)
            assert episode.continued == (identity in last_said)
            if episode.continued:
                assert episode.known_until == last_said[identity].last
            else:
                begun.append(identity)
            last_said[identity] = replace(episode, continued=False, known_until=episode.start)
    whole = oracle_episodes(rule, events)
    assert sorted(last_said.values(), key=lambda one: (one.start, one.group)) == whole
    assert sorted(begun) == sorted((episode.group, episode.start) for episode in whole)


@given(rule=rules, events=events_lists, late=events_lists, cut=st.integers(-20, 20))
def test_late_rows_fill_windows_and_never_violate(
    rule: Rule, events: list[Event], late: list[Event], cut: int
) -> None:
    """What comes after its period was run is counted for instants still to come, and for no other."""
    _, memory = counted(rule, events, Period(until_us=cut), Memory())
    late = [event for event in late if event[1] < cut]
    run = ThresholdRule(rule, Period(since_us=cut), memory)
    run.feed(matched(late + [event for event in events if event[1] >= cut]))
    run.settle(1_000)
    found = run.facts()
    everything = oracle_episodes(rule, events + late)
    assert all(episode.last >= cut for episode in found)
    # The same instants from `cut` on violate as if all had come in time.
    assert {(one.group, one.last) for one in found} == {
        (one.group, one.last) for one in everything if one.last >= cut
    }


def test_events_exactly_a_window_apart_do_not_meet() -> None:
    """The window is open at its beginning: at its very length the first event is out."""
    rule = rule_of(more_than=1, window=60)
    assert counted(rule, [(("a",), 0), (("a",), 60)], Period(), Memory())[0] == []
    (episode,) = counted(rule, [(("a",), 0), (("a",), 59)], Period(), Memory())[0]
    assert (episode.onset, episode.start, episode.peak) == (0, 59, 2)


def test_violations_exactly_quiet_apart_are_two_episodes() -> None:
    """A step of `quiet` ends an episode; one microsecond less does not."""
    rule = rule_of(more_than=0, window=1, quiet=5)
    assert len(counted(rule, [(("a",), 0), (("a",), 5)], Period(), Memory())[0]) == 2
    assert len(counted(rule, [(("a",), 0), (("a",), 4)], Period(), Memory())[0]) == 1


def test_a_burst_over_midnight_is_one_episode() -> None:
    """Six events before and six after: neither day alone has more than ten."""
    rule = rule_of(more_than=10, window=60, quiet=60)
    burst = [(("a",), DAY + second) for second in range(-6, 6)]
    first, memory = counted(rule, burst, Period(since_us=0, until_us=DAY), Memory())
    assert first == []
    (episode,) = counted(rule, burst, Period(since_us=DAY, until_us=2 * DAY), memory)[0]
    assert (episode.onset, episode.start, episode.peak) == (DAY - 6, DAY + 4, 12)


def test_years_1_and_9999_fit_beside_a_million_groups() -> None:
    """Keys that do not fit into 63 bits at once are counted in blocks of groups."""
    rule = rule_of(more_than=1, window=3_600_000_000, quiet=3_600_000_000)
    first, last = Period().since_us, Period().until_us - 1
    events = [((str(group),), at) for group in range(500) for at in (first, first + 1, last - 1, last)]
    found, _ = counted(rule, events, Period(), Memory())
    assert found == oracle_episodes(rule, events)
    assert len(found) == 1_000


def test_groups_that_are_over_are_let_go_of() -> None:
    """A log with a new group in each row takes memory for those within reach; its bursts are all found."""
    rule = rule_of(more_than=2, window=40, quiet=40)
    counts = [3 if number % 1_000 == 0 else 1 for number in range(200_000)]
    events = [((f"{number}",), number) for number, count in enumerate(counts) for _ in range(count)]
    run, whole = (ThresholdRule(rule, Period(until_us=200_000), Memory()) for _ in range(2))
    for first in range(0, len(events), 20_000):
        run.feed(matched(events[first : first + 20_000]))
        run.settle(events[first][1])
    run.settle(200_000)
    assert run.groups < 100_000
    whole.feed(matched(events))
    whole.settle(200_000)
    found = run.facts()
    assert [one.group[0] for one in found] == [f"{number}" for number in range(0, 200_000, 1_000)]
    assert found == whole.facts()
    assert packed_keys(run.memory()) == packed_keys(whole.memory())


def packed_keys(memory: Memory) -> list[tuple[tuple[str, ...], int]]:
    """Return the rows of a memory with the groups themselves."""
    places = zip(memory.group_of.tolist(), memory.times.tolist(), strict=True)
    return sorted((memory.keys[place], time) for place, time in places)


def test_without_rows_before_the_period_early_episodes_may_have_begun_before() -> None:
    """Up to a window and a quiet after the beginning nobody can know; from there on the start is sure."""
    rule = rule_of(more_than=0, window=10, quiet=5)
    period = Period(since_us=0)
    found, _ = counted(rule, [(("a",), 14), (("b",), 15)], period, None)
    assert [(episode.group, episode.is_minimum) for episode in found] == [(("a",), True), (("b",), False)]


def test_equal_rows_count_once() -> None:
    """Rows of one group and instant with the same mark are one, also where one came in an earlier run."""
    rule = rule_of(more_than=1, window=10)
    run = ThresholdRule(rule, Period(until_us=5), Memory())
    run.feed(matched([(("a",), 1), (("a",), 1), (("b",), 1)], [7, 7, 7]))
    run.settle(5)
    assert (run.duplicates, run.facts()) == (1, [])
    following = ThresholdRule(rule, Period(since_us=5), run.memory())
    following.feed(matched([(("a",), 1), (("a",), 6)], [7, 8]))
    following.settle(20)
    (episode,) = following.facts()
    assert (episode.events, following.duplicates) == (2, 0)


def test_rows_older_than_what_was_settled_are_refused() -> None:
    """Nothing is dropped: the run has to collect its rows and count them at the end."""
    run = ThresholdRule(rule_of(), Period(), Memory())
    run.feed(matched([(("a",), 1)]))
    run.settle(10)
    with pytest.raises(DisorderedError):
        run.feed(matched([(("a",), 9)]))


def test_reminders_come_once_for_each_repeat() -> None:
    """Also where the episode lasts over several runs."""
    rule = rule_of(more_than=0, window=5, quiet=5, repeat=10)
    events = [(("a",), at) for at in range(0, 36, 3)]
    memory, numbers = Memory(), []
    for since, until in ((0, 12), (12, 13), (13, 40)):
        (found, memory) = counted(rule, events, Period(since_us=since, until_us=until), memory)
        numbers += [[*episode.reminders(rule.repeat_us)] for episode in found]
    assert numbers == [[], [1], [2, 3]]
