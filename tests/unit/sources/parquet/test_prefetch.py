"""The prefetch: every byte that will be read is asked for once, ahead of its rows, and not all at once."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from service.sources.parquet.prefetch import Prefetch
from service.sources.source import SourceReader


class Recording(SourceReader):
    """Remembers what it was asked to fetch."""

    def __init__(self) -> None:
        self.asked: list[Sequence[tuple[int, int]]] = []

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Remember the ranges."""
        self.asked.append(ranges)

    def close(self) -> None:
        """Do nothing."""


def test_a_small_row_group_is_asked_for_at_once() -> None:
    """One call, so that the storage can coalesce all of it."""
    reader = Recording()
    Prefetch(reader, [(0, 10), (50, 30)], rows=100, at_most=40).reached(100)
    assert reader.asked == [[(0, 10), (50, 30)]]


@given(
    lengths=st.lists(st.integers(0, 1_000), min_size=1, max_size=5),
    rows=st.integers(1, 500),
    at_most=st.integers(10, 1_000),
    step=st.integers(1, 100),
)
def test_a_large_row_group_is_asked_for_in_pieces(
    lengths: list[int], rows: int, at_most: int, step: int
) -> None:
    """All pieces together are the row group, and the first are no more than may be held."""
    reader = Recording()
    ranges = [(10_000 * place, length) for place, length in enumerate(lengths)]
    prefetch = Prefetch(reader, ranges, rows=rows, at_most=at_most)
    assert sum(length for piece in reader.asked for _, length in piece) <= at_most + 2 * len(lengths)
    for row in range(0, rows, step):
        prefetch.reached(row)
    prefetch.reached(rows)
    for place, (offset, length) in enumerate(ranges):
        end = offset
        for piece in reader.asked:
            assert piece[place][0] == end
            end += piece[place][1]
        assert end == offset + length
