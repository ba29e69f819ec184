"""Ranges of remote files: few requests, hardly a byte in vain, every byte right, nothing held for long."""

import io
import random
from concurrent.futures import Future
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from service.sources.buckets.object_reader import ObjectReader
from service.sources.buckets.ranges import LARGEST_PART, MOST_IN_VAIN, WIDEST_GAP, plan_parts

KIB, MIB = 1024, 1024 * 1024

RANGES = st.lists(st.tuples(st.integers(0, 40 * MIB), st.integers(0, 12 * MIB)), max_size=12)


@given(RANGES)
def test_parts_cover_what_is_wanted_and_little_else(ranges: list[tuple[int, int]]) -> None:
    """All that is wanted lies in disjoint parts of bounded size, in order, with at most 5 % in vain."""
    parts = plan_parts(ranges)
    for left, right in pairwise(parts):
        assert left.end <= right.start
    assert all(0 < part.end - part.start <= LARGEST_PART for part in parts)
    wanted = sum(part.wanted for part in parts)
    assert sum(part.end - part.start for part in parts) <= wanted * (1 + MOST_IN_VAIN)
    for offset, length in ranges:
        covered = sum(max(0, min(part.end, offset + length) - max(part.start, offset)) for part in parts)
        assert covered == length


def test_neighbours_share_a_request() -> None:
    """Touching ranges, and ranges with a small gap, become one part."""
    (part,) = plan_parts([(MIB, MIB), (0, MIB), (2 * MIB + 10 * KIB, MIB)])
    assert (part.start, part.end, part.wanted) == (0, 3 * MIB + 10 * KIB, 3 * MIB)


def test_distant_ranges_do_not_share_a_request() -> None:
    """A gap wider than is worth it stays a gap, however much is wanted around it."""
    assert len(plan_parts([(0, 8 * MIB), (8 * MIB + WIDEST_GAP + 1, 8 * MIB)])) == 2


def test_the_smallest_gaps_are_bridged_first() -> None:
    """What may be fetched in vain is spent where it saves most requests."""
    parts = plan_parts([(0, 100 * KIB), (104 * KIB, 100 * KIB), (224 * KIB, 100 * KIB)])
    assert [(part.start, part.end) for part in parts] == [(0, 204 * KIB), (224 * KIB, 324 * KIB)]


class Store:
    """An object that answers at once and counts."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.fetched: list[tuple[int, int]] = []

    def reader(self) -> ObjectReader:
        """Open it."""
        return ObjectReader(len(self.content), self.fetch, Future.result)

    def fetch(self, start: int, end: int) -> Future[bytes]:
        """Answer."""
        assert 0 <= start < end <= len(self.content)
        self.fetched.append((start, end))
        answer: Future[bytes] = Future()
        answer.set_result(self.content[start:end])
        return answer


CONTENT = random.Random(1).randbytes(300 * KIB)  # noqa: S311 - any bytes do
SPANS = st.lists(st.tuples(st.integers(0, 300 * KIB), st.integers(0, 80 * KIB)), max_size=6)


@given(SPANS, SPANS, SPANS)
def test_any_reads_give_the_right_bytes(
    first: list[tuple[int, int]], then: list[tuple[int, int]], reads: list[tuple[int, int]]
) -> None:
    """Whatever was fetched ahead, and in whatever order it is read, each read is the file's own bytes."""
    reader = Store(CONTENT).reader()
    reader.prefetch(first)
    reader.prefetch(then)
    for offset, length in reads:
        reader.file.seek(offset)
        assert reader.file.read(length) == CONTENT[offset : offset + length]
    reader.close()


def test_what_was_read_is_let_go() -> None:
    """A part is held until all that was wanted of it has been read, and no longer."""
    store = Store(CONTENT)
    reader = store.reader()
    reader.prefetch([(0, 10_000), (10_010, 10_000)])
    assert store.fetched == [(0, 20_010)]
    reader.read_range(0, 10_000)
    assert len(reader._held) == 1
    reader.read_range(10_010, 15_000)
    reader.read_range(15_000, 20_010)
    assert reader._held == []
    assert store.fetched == [(0, 20_010)]


def test_nothing_is_fetched_twice_while_it_is_here() -> None:
    """Ranges on their way, and the end of the file that the footer came with, are not asked for again."""
    store = Store(CONTENT)
    reader = store.reader()
    reader.read_range(240 * KIB, 300 * KIB)
    reader.prefetch([(0, 100 * KIB), (50 * KIB, 100 * KIB)])
    reader.prefetch([(90 * KIB, 100 * KIB), (230 * KIB, 70 * KIB)])
    assert sorted(store.fetched) == [
        (0, 150 * KIB),
        (150 * KIB, 190 * KIB),
        (230 * KIB, 240 * KIB),
        (240 * KIB, 300 * KIB),
    ]


def test_closing_gives_up_what_is_on_its_way() -> None:
    """No request outlives its reader."""
    answer: Future[bytes] = Future()
    reader = ObjectReader(100, lambda *_: answer, Future.result)
    reader.prefetch([(0, 100)])
    reader.close()
    assert answer.cancelled()


def test_a_small_file_is_one_request() -> None:
    """What comes with the footer is all there is of a file of up to 64 KiB."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000)), "b": ["x"] * 1000}), sink, row_group_size=100)
    store = Store(sink.getvalue())
    with store.reader() as reader:
        assert pq.ParquetFile(reader.file, pre_buffer=False).read().num_rows == 1000
    assert store.fetched == [(0, len(store.content))]
