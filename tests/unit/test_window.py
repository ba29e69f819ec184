"""The month window: the largest number wins a cell, in whatever order and split the rows come."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.window import TARGET, MonthWindow

MONTHS = 5


@dataclass(frozen=True)
class Row:
    """What the fold is told of a row."""

    account: int
    back: int
    instant: int
    at_risk: bool


# Some accounts lie far behind the first block, so that the window has to grow.
ROWS = st.lists(
    st.builds(
        Row,
        account=st.sampled_from([0, 1, 2, 4095, 4096, 9_000, 70_000]),
        back=st.integers(0, MONTHS - 1),
        instant=st.integers(1, 4),
        at_risk=st.booleans(),
    ),
    max_size=40,
)


def fill(window: MonthWindow, rows: list[Row]) -> None:
    """Give the window one batch."""
    accounts = np.array([row.account for row in rows], np.int64)
    back = np.array([row.back for row in rows], np.int64)
    instants = np.array([row.instant for row in rows], np.uint64)
    at_risk = np.array([row.at_risk for row in rows], np.bool_)
    window.fold(accounts, back, instants, at_risk)


def newest(rows: list[Row]) -> dict[tuple[int, int], int]:
    """Return each cell's winning number, the plain way."""
    cells: dict[tuple[int, int], int] = {}
    for row in rows:
        key = row.account, row.back
        cells[key] = max(cells.get(key, 0), row.instant << 1 | row.at_risk)
    return cells


@given(batches=st.lists(ROWS, max_size=4))
def test_the_largest_number_wins(batches: list[list[Row]]) -> None:
    """Whatever the batches, a cell holds the largest of its numbers, and is counted once."""
    window = MonthWindow(MONTHS)
    for batch in batches:
        fill(window, batch)
    cells = newest([row for batch in batches for row in batch])
    assert window.account_months() == len(cells)
    for (account, back), number in cells.items():
        assert window.newest(np.array([account]), back).tolist() == [number]


@given(target_rows=ROWS, earlier_rows=ROWS, known_months=st.integers(1, MONTHS))
def test_forgetting_the_others_changes_nothing_for_those_tracked(
    target_rows: list[Row], earlier_rows: list[Row], known_months: int
) -> None:
    """Once only the candidates are tracked, their cells and the count of all cells stay exact."""
    target_rows = [row for row in target_rows if row.back < known_months]
    candidates = sorted({row.account for row in target_rows if row.back == TARGET and row.at_risk})
    window = MonthWindow(known_months)
    fill(window, target_rows)
    window.track_only(np.array(candidates, np.int64), MONTHS)
    fill(window, earlier_rows)
    cells = newest([*target_rows, *earlier_rows])
    assert window.account_months() == len(cells)
    for back in range(MONTHS):
        expected = [cells.get((account, back), 0) for account in candidates]
        assert window.newest(np.array(candidates, np.int64), back).tolist() == expected


@pytest.mark.parametrize(
    ("statuses", "duration"),
    [("R", 1), ("RRR", 3), ("RRHR", 2), ("RR.RR", 2), ("RRRRR", 5), ("HRR", 0), (".RR", 0)],
)
def test_durations_walk_back_to_the_first_gap(statuses: str, duration: int) -> None:
    """A streak ends at a month of another status (H), or without a row (.)."""
    window = MonthWindow(MONTHS)
    fill(window, [Row(7, back, 1, status == "R") for back, status in enumerate(statuses) if status != "."])
    assert window.durations(np.array([7])).tolist() == [duration]
