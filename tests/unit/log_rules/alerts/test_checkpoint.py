"""A checkpoint is all that the next run needs, and the same bytes whatever the order of rows was."""

import random
import zlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.log_rules.alerts.checkpoint import Remembered, files_known, packed, unpacked
from service.log_rules.episode import Episode
from service.log_rules.memory import Memory
from service.log_rules.rule import END_US, FIRST_US, Matched, Period, Rule
from service.log_rules.threshold import ThresholdRule
from tests.support.log_oracle import Event, oracle_episodes

RULES = st.builds(
    Rule,
    id=st.just("r"),
    title=st.just("t"),
    where=st.just(()),
    group_by=st.just(("bundle",)),
    more_than=st.integers(0, 4),
    window_us=st.integers(1, 12),
    quiet_us=st.integers(1, 12),
)
EVENTS = st.lists(st.tuples(st.sampled_from([("a",), ("b",), ("",)]), st.integers(0, 60)), max_size=60)
CUTS = st.sets(st.integers(0, 61), max_size=5)


def _matched(events: list[Event]) -> Matched:
    keys = list(dict.fromkeys(group for group, _ in events))
    return Matched(
        times=np.array([time for _, time in events], np.int64),
        group_of=np.array([keys.index(group) for group, _ in events], np.int64),
        keys=keys,
    )


def _left(rule: Rule, period: Period, memory: Memory | None, events: list[Event]) -> ThresholdRule:
    counter = ThresholdRule(rule, period, memory)
    if events:
        counter.feed(_matched(events))
    counter.settle(period.until_us)
    return counter


def _as_one(episode: Episode) -> Episode:
    """Return an episode without what depends on how its log was split."""
    return replace(episode, known_until=0, continued=False, is_minimum=False)


@given(RULES, EVENTS, CUTS, st.randoms(use_true_random=False))
def test_runs_that_follow_each_other_by_checkpoints_are_one_run(
    rule: Rule, events: list[Event], cuts: set[int], chance: random.Random
) -> None:
    """However a log is split into runs, and its rows lie, the episodes are those of the definition."""
    remembered = Remembered(memories={"r": ("d", Memory())})
    found: dict[tuple[tuple[str, ...], int], Episode] = {}
    for since, until in pairwise([FIRST_US, *sorted(cuts), END_US]):
        mine = [event for event in events if since <= event[1] < until]
        read = unpacked(packed(remembered)[0])
        assert read is not None
        period, memory = Period(since_us=since, until_us=until), read.memories["r"][1]
        other = _left(rule, period, memory, mine)
        chance.shuffle(mine)
        counter = _left(rule, period, memory, mine)
        remembered = Remembered(memories={"r": ("d", counter.memory())})
        assert packed(remembered) == packed(Remembered(memories={"r": ("d", other.memory())}))
        # An episode that goes on is known by its start: what the later run says of it is the whole.
        found |= {(each.group, each.start): each for each in counter.facts()}
    episodes = sorted(found.values(), key=lambda each: (each.start, each.group))
    assert [_as_one(each) for each in episodes] == [_as_one(each) for each in oracle_episodes(rule, events)]


def test_files_values_and_marks_are_kept() -> None:
    """What decides about later episodes is in the digest; paths and seen values are not."""
    memory = Memory(
        keys=(("b", "x"), ("a", "")),
        times=np.array([5, 3]),
        group_of=np.array([0, 1]),
        marks=np.array([-7, 9]),
    )
    one = Remembered(memories={"r": ("d", memory)}, files=("/log.csv",), values={"severity": {"fatal", ""}})
    content, digest = packed(one)
    read = unpacked(content)
    assert read is not None
    assert (read.files, dict(read.values)) == (("/log.csv",), {"severity": ["", "fatal"]})
    rule_digest, kept = read.memories["r"]
    assert (rule_digest, kept.keys) == ("d", (("a", ""), ("b", "x")))
    assert (kept.times.tolist(), kept.group_of.tolist(), kept.marks.tolist()) == ([3, 5], [0, 1], [9, -7])
    assert packed(replace(one, files=()))[1] == digest
    assert packed(replace(one, memories={"r": ("other", memory)}))[1] != digest
    assert packed(replace(one, memories={"r": ("d", replace(memory, times=np.array([5, 4])))}))[1] != digest


def test_what_another_version_wrote_is_no_checkpoint() -> None:
    """A form that is not known, or no checkpoint at all, is as if there were none."""
    content, _ = packed(Remembered())
    other = zlib.compress(zlib.decompress(content).replace(b'"form":1', b'"form":9'))
    for bad in (other, b"", b"garbage", content[:-3], zlib.compress(b"\x02\0\0\0\0\0\0\0{}")):
        assert unpacked(bad) is None


def test_paths_are_remembered_newest_last() -> None:
    """Those of the last run are always kept, of those before the last ten thousand."""
    before = [f"/{number}" for number in range(20_000)]
    known = files_known(before, ["/b", "/a", "/19999"])
    assert (known[0], len(known), known[-3:]) == ("/9999", 10_003, ("/19999", "/a", "/b"))
