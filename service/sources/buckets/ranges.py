"""Storage ranges: which requests fetch the byte ranges that are wanted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

WIDEST_GAP: Final = 256 * 1024
"""Bytes; fetching less than this in vain is cheaper than another request."""
MOST_IN_VAIN: Final = 0.05
"""Of the bytes wanted, how many more may be fetched to save requests."""
LARGEST_PART: Final = 8 * 1024 * 1024
"""Bytes in one request, so that large ranges come over several connections, each within its time limit."""


@dataclass(frozen=True, slots=True)
class Part:
    """One request's worth of bytes, `start` to `end` (exclusive)."""

    start: int
    end: int
    wanted: int
    """How many of the bytes were asked for; the others lie in gaps."""


def plan_parts(ranges: Iterable[tuple[int, int]]) -> tuple[Part, ...]:
    """Cover `(offset, length)` ranges with few requests, in the order of the file, without overlaps.

    Gaps are bridged smallest first, as long as none is wider than WIDEST_GAP and all together stay within
    MOST_IN_VAIN of what is wanted.
    """
    merged = _merged(ranges)
    budget = int(sum(end - start for start, end in merged) * MOST_IN_VAIN)
    gaps = sorted((right[0] - left[1], right[0]) for left, right in pairwise(merged))
    bridged: set[int] = set()
    for gap, start in gaps:
        if gap > min(budget, WIDEST_GAP):
            break
        budget -= gap
        bridged.add(start)
    spans: list[list[tuple[int, int]]] = []
    for start, end in merged:
        if start in bridged:
            spans[-1].append((start, end))
        else:
            spans.append([(start, end)])
    return tuple(part for span in spans for part in _split(span))


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for offset, length in sorted(ranges):
        if length <= 0:
            continue
        if merged and offset <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], offset + length))
        else:
            merged.append((offset, offset + length))
    return merged


def _split(span: Sequence[tuple[int, int]]) -> Iterable[Part]:
    first, last = span[0][0], span[-1][1]
    # Equal parts, so that none is a sliver.
    count = -(-(last - first) // LARGEST_PART)
    edges = [first + (last - first) * index // count for index in range(count + 1)]
    for left, right in pairwise(edges):
        wanted = sum(max(0, min(right, end) - max(left, start)) for start, end in span)
        yield Part(left, right, wanted)
