"""Counting: which instants have too many events in the window that ends there, by one sorted key. Pure.

An event's key is `group * stride + time`, and the stride is longer than all times with a window behind
them, so that events of two groups are never close. In sorted order, row i violates iff `key[i] - key[i - n]`
is less than the window: then n more events lie in the window that ends at i. Of rows that tie, the last sees
them all.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from service.log_rules.episode import EPISODE, Episodes, Instants, Mask, Numbers, no_episodes

_RADIX: Final = 1 << 16
"""So many groups are told apart in two passes, a quarter of what it takes to sort as many keys."""
_STEP: Final = 16
"""Violating rows from one whose window is counted in any case to the next."""
_LARGEST: Final = 1 << 62
"""Keys stay below it."""


class Limits(NamedTuple):
    """What violates, and what makes a chain; durations in microseconds."""

    more_than: int
    window: int
    quiet: int

    @property
    def reach(self) -> int:
        """How far back an instant looks, be it for events or for the violation before."""
        return max(self.window, self.quiet)


def chains(times: Instants, groups: Numbers, opened: Episodes, since: int, limits: Limits) -> Episodes:
    """Return the chains of violating instants from `since` on, each whole with the open episode it goes on.

    The events hold all of the last `limits.reach` before `since`, in any order; `groups` are small numbers.
    `opened` has one episode at most of each group, sorted by group. The result is sorted by group and start.
    """
    if not times.size:
        return no_episodes()
    # Most groups of a log are too small to violate: they are not sorted at all.
    counts = np.bincount(groups) if groups.any() else np.array([groups.size])
    is_candidate = counts > limits.more_than
    candidates = np.flatnonzero(is_candidate)
    if not candidates.size:
        return no_episodes()
    if candidates.size < is_candidate.size:
        kept = is_candidate[groups]
        times, groups = times[kept], groups[kept]
        groups = (np.cumsum(is_candidate) - 1)[groups]
    found = [
        _chains(block_times, block_groups, candidates[first:end], opened, since, limits)
        for first, end, block_times, block_groups in _blocks(times, groups, candidates.size, limits)
    ]
    return found[0] if len(found) == 1 else np.concatenate(found)


def _blocks(
    times: Instants, groups: Numbers, count: int, limits: Limits
) -> Iterator[tuple[int, int, Instants, Numbers]]:
    """Yield groups from `first` to before `end` with their events: as many as 63 bits have room for."""
    stride = _stride(times, limits)
    each = max(_LARGEST // stride, 1)
    if count <= each:
        yield 0, count, times, groups
        return
    order = np.argsort(groups, kind="stable")
    times, groups = times[order], groups[order]
    for first in range(0, count, each):
        left, right = np.searchsorted(groups, (first, first + each))
        yield first, min(first + each, count), times[left:right], groups[left:right] - first


def _stride(times: Instants, limits: Limits) -> int:
    return int(times.max()) - int(times.min()) + limits.reach + 1


def _chains(
    times: Instants, groups: Numbers, numbers: Numbers, opened: Episodes, since: int, limits: Limits
) -> Episodes:
    more_than, window, quiet = limits
    origin, stride = int(times.min()), _stride(times, limits)
    key = times - origin
    if numbers.size > 1:
        key += groups * np.int64(stride)
        if numbers.size <= _RADIX and _are_sorted(times):
            key = key[np.argsort(groups.astype(np.uint16), kind="stable")]
    if not _are_sorted(key):
        key.sort()
    is_seen = key[more_than:] - key[: key.size - more_than] < window
    # Of rows that tie, the last one sees them all.
    is_seen[:-1] &= key[more_than + 1 :] != key[more_than:-1]
    if since > origin:
        is_seen &= _are_from(key, since - origin, numbers.size, stride)[more_than:]
    row = np.flatnonzero(is_seen)
    row += more_than
    at = key[row]
    if not row.size:
        return no_episodes()
    begins = np.flatnonzero(np.concatenate([[True], np.diff(at) >= quiet]))
    ends = np.append(begins[1:], row.size) - 1
    group = at[begins] // stride
    base = group * stride - origin
    first_row = np.searchsorted(key, at[begins] - window, side="right")
    peak, peak_place = _peaks(key, row, begins, window)
    found = np.zeros(begins.size, EPISODE)
    found["group"] = numbers[group]
    found["onset"] = key[first_row] - base
    found["start"] = found["known_until"] = at[begins] - base
    found["last"] = at[ends] - base
    found["violations"] = ends - begins + 1
    found["events"] = row[ends] - first_row + 1
    found["peak"] = peak
    found["peak_at"] = at[peak_place] - base
    return _joined(found, opened, key, base, row[ends], quiet)


def _are_from(key: Instants, since: int, groups: int, stride: int) -> Mask:
    """Return which keys have a time from `since` on, by two places of each group: no key is divided."""
    begins = np.arange(groups) * np.int64(stride)
    places = np.searchsorted(key, np.stack([begins, begins + min(since, stride)], axis=1).ravel())
    return np.repeat(np.tile([False, True], groups), np.diff(places, append=key.size))


def _are_sorted(values: Instants) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def _peaks(key: Instants, row: Numbers, begins: Numbers, window: int) -> tuple[Numbers, Numbers]:
    """Return the most events in a window of each chain of rows, and the place of the first row with so many.

    From one row to the next a window gains no more events than there are rows between them. So every few rows
    are counted, and the others only where the peak can be.
    """

    def counted(places: Numbers) -> Numbers:
        rows = row[places]
        return rows + 1 - np.searchsorted(key, key[rows] - window, side="right")

    is_step = np.zeros(row.size, np.bool_)
    is_step[::_STEP] = is_step[begins] = True
    steps = np.flatnonzero(is_step)
    lengths = np.diff(steps, append=row.size)
    counts = counted(steps)
    most = _greatest(counts, np.searchsorted(steps, begins))
    reach = counts + row[steps + lengths - 1] - row[steps]
    places = np.flatnonzero(np.repeat(reach >= most, lengths))
    counts = counted(places)
    firsts = np.searchsorted(places, begins)
    peak = _greatest(counts, firsts)
    peak_places = places[counts == peak]
    return peak[firsts], peak_places[np.searchsorted(peak_places, begins)]


def _greatest(values: Numbers, begins: Numbers) -> Numbers:
    """Return for each value the greatest of its stretch."""
    return np.repeat(np.maximum.reduceat(values, begins), np.diff(begins, append=values.size))


def _joined(
    found: Episodes, opened: Episodes, key: Instants, base: Instants, last_row: Instants, quiet: int
) -> Episodes:
    """Let the chains that follow an open episode within `quiet` go on with it."""
    if not opened.size:
        return found
    place = np.minimum(np.searchsorted(opened["group"], found["group"]), opened.size - 1)
    before = opened[place]
    on = (before["group"] == found["group"]) & (found["start"] - before["last"] < quiet)
    before, after = before[on], found[on]
    joined = before.copy()
    joined["last"] = after["last"]
    joined["violations"] += after["violations"]
    # What came after its last violation was counted by nobody yet.
    counted = np.searchsorted(key, before["last"] + base[on], side="right")
    joined["events"] += last_row[on] + 1 - counted
    higher = after["peak"] > before["peak"]
    for fact in ("peak", "peak_at"):
        joined[fact] = np.where(higher, after[fact], before[fact])
    found[on] = joined
    return found
