"""The stretches: which row groups are read as one."""

from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from service.sources.parquet.batch import stretches
from service.sources.parquet.footer import BATCH_BYTES, BATCH_ROWS, RowGroup

SMALL: Final = RowGroup(
    file=0,
    index=0,
    first_row=0,
    rows=10_000,
    batch_rows=BATCH_ROWS,
    rows_to_take_from=BATCH_ROWS,
    first_day=None,
    last_day=None,
    compressed_bytes=1,
    attribute_compressed=1,
    key_bytes=1,
    attribute_bytes=1,
    dictionaries=(),
)


def row_groups(*rows: int) -> list[RowGroup]:
    """Return row groups of one file that follow each other, of so many rows each."""
    return [
        replace(SMALL, index=index, first_row=sum(rows[:index]), rows=each) for index, each in enumerate(rows)
    ]


def sizes(groups: list[RowGroup]) -> list[int]:
    """Return of how many row groups each stretch is."""
    return [len(stretch) for stretch in stretches(groups)]


def test_small_row_groups_are_read_as_one() -> None:
    """As many as a batch has rows for; a row group of the usual size stays alone."""
    assert sizes(row_groups(*[10_000] * 30)) == [13, 13, 4]
    assert sizes(row_groups(1_048_576, 10_000, 10_000, 1_048_576)) == [1, 2, 1]


def test_only_neighbours_are_read_as_one() -> None:
    """What one reader gives in its order: of one file, without a gap, in the same form."""
    first, second, third = row_groups(10, 10, 10)
    assert sizes([first, third]) == [1, 1]
    assert sizes([second, first]) == [1, 1]
    assert sizes([first, replace(second, file=1)]) == [1, 1]
    assert sizes([first, replace(second, dictionaries=("status",)), third]) == [1, 1, 1]


def test_what_is_held_at_once_stays_small() -> None:
    """A batch of long texts has fewer rows, and tiny row groups are not read by the thousand."""
    assert sizes([replace(group, batch_rows=25) for group in row_groups(*[10] * 5)]) == [2, 2, 1]
    long = [replace(group, attribute_bytes=BATCH_BYTES // 3) for group in row_groups(*[10] * 4)]
    assert sizes(long) == [2, 2]
    assert sizes(row_groups(*[1] * 150)) == [64, 64, 22]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 200_000)), max_size=40))
def test_nothing_is_lost(drawn: list[tuple[int, int]]) -> None:
    """Whatever the row groups, each is in one stretch, in their order."""
    groups = [replace(SMALL, index=2 * index + gap, rows=rows) for index, (gap, rows) in enumerate(drawn)]
    assert [group for stretch in stretches(groups) for group in stretch] == groups
