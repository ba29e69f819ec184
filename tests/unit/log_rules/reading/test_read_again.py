"""Late rows of files that were read before are those that are more than what was remembered."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.log_rules.memory import Memory
from service.log_rules.reading.read_again import RowsReadAgain
from service.log_rules.rule import Matched

SINCE, REACH = 20, 15
rows = st.lists(st.tuples(st.integers(0, 19), st.sampled_from("abc"), st.integers(1, 2)), max_size=12)


def matched(batch: list[tuple[int, str, int]], *, has_marks: bool) -> Matched:
    """Return rows of time, group and mark as a batch."""
    keys = sorted({(group,) for _, group, _ in batch})
    return Matched(
        times=np.array([time for time, _, _ in batch], np.int64),
        group_of=np.array([keys.index((group,)) for _, group, _ in batch], np.int64),
        keys=keys,
        marks=np.array([mark for _, _, mark in batch], np.int64) if has_marks else None,
    )


@given(remembered=rows, batches=st.lists(rows, max_size=3), has_marks=st.booleans())
def test_late_rows_are_what_is_more_than_remembered(
    remembered: list[tuple[int, str, int]], batches: list[list[tuple[int, str, int]]], *, has_marks: bool
) -> None:
    """As many of equal rows as there are more now; with marks all of those that are not remembered at all."""
    known = matched([row for row in remembered if row[0] > SINCE - REACH], has_marks=has_marks)
    marks = {} if known.marks is None else {"marks": known.marks}
    memory = Memory(keys=tuple(known.keys), times=known.times, group_of=known.group_of, **marks)
    again = RowsReadAgain(memory, reach_us=REACH, since_us=SINCE)
    for batch in batches:
        again.add(matched(batch, has_marks=has_marks), np.ones(len(batch), np.bool_))
    now = Counter(
        _row(row, has_marks=has_marks) for batch in batches for row in batch if row[0] > SINCE - REACH
    )
    then = Counter(_row(row, has_marks=has_marks) for row in remembered)
    expected = (
        Counter({row: count for row, count in now.items() if row not in then}) if has_marks else now - then
    )
    late = again.late()
    found: Counter[tuple[int, str, int]] = Counter()
    if late is not None:
        listed = np.zeros(late.times.size, np.int64) if late.marks is None else late.marks
        for time, place, mark in zip(
            late.times.tolist(), late.group_of.tolist(), listed.tolist(), strict=True
        ):
            found[time, list(late.keys)[place][0], mark] += 1
    assert found == expected


def _row(row: tuple[int, str, int], *, has_marks: bool) -> tuple[int, str, int]:
    return row if has_marks else (*row[:2], 0)
