"""The month window: the largest number wins a cell, in whatever order and split the rows come."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.account_risk.folding.window import TARGET, MonthWindow
from service.domain.errors import SourceNotParquetError
from service.sources.parquet.instants import widened

MONTHS = 5


@dataclass(frozen=True)
class Row:
    """What the fold is told of a row."""

    account: int
    back: int
    instant: int
    at_risk: bool


def rows_of(accounts: st.SearchStrategy[int]) -> st.SearchStrategy[list[Row]]:
    """Draw the rows of a batch."""
    return st.lists(
        st.builds(
            Row,
            account=accounts,
            back=st.integers(0, MONTHS - 1),
            instant=st.integers(1, 4),
            at_risk=st.booleans(),
        ),
        max_size=40,
    )


# Some accounts lie far behind the first block, so that the window has to grow; neighbours fill a table.
ROWS = rows_of(st.sampled_from([0, 1, 2, 4095, 4096, 9_000, 70_000])) | rows_of(st.integers(4_092, 4_099))


def fill(window: MonthWindow, rows: list[Row], *, whole_seconds: bool = False) -> None:
    """Give the window one batch, its instants in 32 or in 64 bits."""
    accounts = np.array([row.account for row in rows], np.int64)
    back = np.array([row.back for row in rows], np.int64)
    instants: Any = np.array([row.instant for row in rows], np.uint32)
    at_risk = np.array([row.at_risk for row in rows], np.bool_)
    if not whole_seconds:
        instants = widened(instants << np.uint32(1)) >> np.uint64(1)
    folded = window.see(accounts, back)
    if folded is not None:
        accounts, back, instants, at_risk = accounts[folded], back[folded], instants[folded], at_risk[folded]
    window.fold(accounts, back, instants, at_risk)


def newest(rows: list[Row]) -> dict[tuple[int, int], int]:
    """Return each cell's winning number, the plain way."""
    cells: dict[tuple[int, int], int] = {}
    for row in rows:
        key = row.account, row.back
        number = int(widened(np.array([row.instant << 1 | row.at_risk], np.uint32))[0])
        cells[key] = max(cells.get(key, 0), number)
    return cells


@given(batches=st.lists(st.tuples(ROWS, st.booleans()), max_size=4))
def test_the_largest_number_wins(batches: list[tuple[list[Row], bool]]) -> None:
    """Whatever the batches and the bits of their instants, a cell holds the largest of its numbers."""
    window = MonthWindow(MONTHS)
    for batch, whole_seconds in batches:
        fill(window, batch, whole_seconds=whole_seconds)
    cells = newest([row for batch, _ in batches for row in batch])
    assert window.account_months() == len(cells)
    for (account, back), number in cells.items():
        assert window.newest(np.array([account]), back).tolist() == [number]


@pytest.mark.timeout(10)
def test_many_rows_of_one_cell_are_folded_at_once() -> None:
    """However they are ordered: the newest first, too, as an event log may have them."""
    window = MonthWindow(1)
    descending = np.arange(1 << 16, 0, -1, dtype=np.uint32)
    rows = np.zeros(descending.size, np.int64)
    for _ in range(8):
        window.fold(rows, rows, descending, np.zeros(descending.size, np.bool_))
    assert window.newest(rows[:1], TARGET).tolist() == widened(descending[:1] << np.uint32(1)).tolist()


def test_a_batch_of_neighbours_makes_room_for_its_own_months_alone() -> None:
    """Its table has all months up to its oldest; those without a row take no memory."""
    rows = [Row(account, back, 1, at_risk=True) for account in range(8) for back in (1, 3)]
    window, sparse = MonthWindow(MONTHS), MonthWindow(MONTHS)
    fill(window, rows)
    for row in rows:
        fill(sparse, [row])
    assert window.nbytes == sparse.nbytes == 2 * 8 * 8
    assert window.account_months() == 16


@pytest.mark.parametrize(("apart", "dense"), [(1, True), (8, False)])
def test_neighbours_are_folded_in_one_go_wherever_they_are(apart: int, *, dense: bool) -> None:
    """Also the last accounts of a large source: what counts is how close they are to each other."""
    accounts = np.repeat(70_000 + apart * np.arange(16), MONTHS)
    back = np.tile(np.arange(MONTHS), 16)
    window = MonthWindow(MONTHS)
    assert window._fold_dense(accounts, back, np.ones(back.size, np.uint32)) is dense
    assert window.account_months() == (back.size if dense else 0)


@given(target_rows=ROWS, earlier_rows=ROWS, known_months=st.integers(1, MONTHS), whole_seconds=st.booleans())
def test_forgetting_the_others_changes_nothing_for_those_tracked(
    target_rows: list[Row], earlier_rows: list[Row], known_months: int, *, whole_seconds: bool
) -> None:
    """Once only the candidates are tracked, their cells and the count of all cells stay exact."""
    target_rows = [row for row in target_rows if row.back < known_months]
    candidates = sorted({row.account for row in target_rows if row.back == TARGET and row.at_risk})
    window = MonthWindow(known_months)
    fill(window, target_rows)
    window.track_only(np.array(candidates, np.int64), MONTHS)
    fill(window, earlier_rows, whole_seconds=whole_seconds)
    cells = newest([*target_rows, *earlier_rows])
    assert window.account_months() == len(cells)
    for back in range(MONTHS):
        expected = [cells.get((account, back), 0) for account in candidates]
        assert window.newest(np.array(candidates, np.int64), back).tolist() == expected


@given(target_rows=ROWS, earlier_rows=ROWS, closed=st.integers(0, MONTHS - 1))
def test_closing_complete_months_changes_neither_counts_nor_streaks(
    target_rows: list[Row], earlier_rows: list[Row], closed: int
) -> None:
    """What is kept of a closed month is enough for the duplicates and the durations."""
    candidates = np.array(sorted({row.account for row in target_rows}), np.int64)
    window, whole = MonthWindow(2), MonthWindow(2)
    for one in (window, whole):
        fill(one, [row for row in target_rows if row.back < one.months])
        one.track_only(candidates, MONTHS)
        fill(one, earlier_rows)
    for back in range(1, closed + 1):
        window.close(back)
    fill(window, [row for row in target_rows if row.back > closed])
    fill(whole, [row for row in target_rows if row.back > closed])
    assert window.account_months() == whole.account_months()
    assert window.durations(candidates).tolist() == whole.durations(candidates).tolist()
    assert window.nbytes <= whole.nbytes


@pytest.mark.parametrize(
    ("statuses", "duration"),
    [("R", 1), ("RRR", 3), ("RRHR", 2), ("RR.RR", 2), ("RRRRR", 5), ("HRR", 0), (".RR", 0)],
)
def test_durations_walk_back_to_the_first_gap(statuses: str, duration: int) -> None:
    """A streak ends at a month of another status (H), or without a row (.)."""
    window = MonthWindow(MONTHS)
    fill(window, [Row(7, back, 1, status == "R") for back, status in enumerate(statuses) if status != "."])
    assert window.durations(np.array([7])).tolist() == [duration]


def test_a_row_that_its_footer_rules_out_is_an_error() -> None:
    """Months are planned and closed by the footers' statistics; a file that lies must not alter durations."""
    window = MonthWindow(1)
    with pytest.raises(SourceNotParquetError):
        fill(window, [Row(0, 1, 1, at_risk=True)])
    window.track_only(np.array([0]), 2)
    fill(window, [Row(0, 1, 1, at_risk=True)])
    window.close(1)
    with pytest.raises(SourceNotParquetError):
        fill(window, [Row(0, 1, 1, at_risk=True)])
