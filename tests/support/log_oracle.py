"""The meaning of a log rule, in plain Python: every window is counted by looking at every event."""

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

from service.log_rules.episode import Episode, GroupKey
from service.log_rules.rule import Rule

Event: TypeAlias = tuple[GroupKey, int]
"""A group, and an instant in microseconds."""


def oracle_episodes(rule: Rule, events: Iterable[Event]) -> list[Episode]:
    """Return all episodes of all events, by start, then group."""
    times: dict[GroupKey, list[int]] = {}
    for group, time in events:
        times.setdefault(group, []).append(time)
    found = [episode for group, each in times.items() for episode in _of_group(rule, group, sorted(each))]
    return sorted(found, key=lambda episode: (episode.start, episode.group))


def oracle_count(rule: Rule, times: list[int], at: int) -> int:
    """Count the events of the window that ends at an instant."""
    return sum(at - rule.window_us < time <= at for time in times)


def _of_group(rule: Rule, group: GroupKey, times: list[int]) -> Iterable[Episode]:
    violating = [at for at in sorted(set(times)) if oracle_count(rule, times, at) > rule.more_than]
    chain = violating[:1]
    for before, after in [*pairwise(violating), (0, None)]:
        if after is not None and after - before < rule.quiet_us:
            chain.append(after)
            continue
        if chain:
            yield _episode(rule, group, times, chain)
        chain = [] if after is None else [after]


def _episode(rule: Rule, group: GroupKey, times: list[int], chain: list[int]) -> Episode:
    start, last = chain[0], chain[-1]
    onset = min(time for time in times if start - rule.window_us < time <= start)
    peak = max(oracle_count(rule, times, at) for at in chain)
    return Episode(
        group=group,
        onset=onset,
        start=start,
        last=last,
        peak=peak,
        peak_at=next(at for at in chain if oracle_count(rule, times, at) == peak),
        events=sum(onset <= time <= last for time in times),
        violations=len(chain),
        known_until=start,
        continued=False,
        is_minimum=False,
    )
