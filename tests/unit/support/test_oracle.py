"""The oracle by hand: each rule once, with an answer that anyone can check without running anything."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.account_risk.account_at_risk import Criteria
from service.account_risk.row_ledger import InvalidRow
from service.domain.month import Month
from tests.support.evaluating import row as a_row
from tests.support.histories import COLUMNS, DEFAULT_TYPES, NANOSECONDS, History, histories, layouts, write
from tests.support.oracle import MonthNotInSourceError, Row, evaluate, known_arr

JANUARY = Criteria(month=Month.parse("2026-01-01"))


def row(month: str | None = "2026-01-01", status: str | None = "At Risk", **columns: Any) -> Row:
    """Return a row of account a1 that alerts unless told otherwise."""
    day = None if month is None else date.fromisoformat(month)
    return a_row() | {"month": day, "status": status, "arr": 10_000, "updated_at": 1} | columns


def test_a_streak_is_walked_back_until_another_status() -> None:
    """Two months At Risk after a healthy one last two months, and start with the first of them."""
    rows = [row("2025-10-01"), row("2025-11-01", "Healthy"), row("2025-12-01"), row("2026-01-01")]
    (alert,) = evaluate(rows, JANUARY).alerts
    assert (alert.duration_months, str(alert.risk_start_month)) == (2, "2025-12-01")
    assert not alert.duration_is_minimum


def test_a_missing_month_stops_the_streak() -> None:
    """A gap is not At Risk."""
    (alert,) = evaluate([row("2025-11-01"), row("2026-01-01")], JANUARY).alerts
    assert alert.duration_months == 1


def test_a_later_healthy_row_overrules() -> None:
    """The latest row of a month decides, whatever it says."""
    rows = [row(updated_at=1), row(updated_at=2, status="Healthy")]
    expected = evaluate(rows, JANUARY)
    assert expected.alerts == ()
    assert (expected.rows.duplicates, expected.rows.at_risk) == (1, 0)


@pytest.mark.parametrize(
    ("rows", "alerts"),
    [
        # Even an instant before 1970 is later than none.
        ([row(updated_at=None), row(updated_at=-5, status="Healthy")], 0),
        # Of two rows of one instant the At Risk one counts.
        ([row(status="Healthy"), row(), row(status=None)], 1),
        # A Healthy row of the year 4308 overrules At Risk of the year 2262.
        ([row(updated_at=2**63), row(updated_at=2**66, status="Healthy")], 0),
        # Status matches exactly.
        ([row(status=status) for status in ("at risk", "At Risk ", "", None)], 0),
    ],
)
def test_the_newest_row_decides(rows: list[Row], alerts: int) -> None:
    """Whatever its instant, and whatever it says."""
    assert evaluate(rows, JANUARY).rows.alerts == alerts


@pytest.mark.parametrize(
    ("column", "winner", "losers"),
    [
        ("arr", 30_000, [None, 20_000]),
        ("account_name", "A", [None, "B", "a"]),
        ("account_region", "AMER", [None, "EMEA"]),
        ("account_owner", "Ann", [None, "Bo"]),
        ("renewal_date", date(2025, 1, 1), [None, date(2025, 1, 2)]),
    ],
)
def test_attributes_break_a_tie(column: str, winner: Any, losers: list[Any]) -> None:
    """Among At Risk rows of one instant: the largest ARR, else the smallest attribute, null last."""
    rows = [row(**{column: value}) for value in [*losers, winner]]
    for order in (rows, rows[::-1]):
        (alert,) = evaluate(order, JANUARY).alerts
        assert getattr(alert, column) == winner


def test_the_edge_of_history_is_said() -> None:
    """A streak through the whole window may be longer, and one month less is exactly known."""
    months = ["2025-10-01", "2025-11-01", "2025-12-01", "2026-01-01"]
    three = Criteria(month=JANUARY.month, history_months=3)
    (alert,) = evaluate([row(month) for month in months], three).alerts
    assert (alert.duration_months, alert.duration_is_minimum) == (3, True)
    (alert,) = evaluate([row(month) for month in months[2:]], three).alerts
    assert (alert.duration_months, alert.duration_is_minimum) == (2, False)


def test_rows_are_validated_in_order() -> None:
    """Null month, outside, mid-month, id: the first that applies is what a row is counted as."""
    rows = [
        row(None, account_id=None),
        row("2026-02-15"),
        row("2016-01-31"),
        row("2026-01-31", account_id=""),
        row("2016-02-02"),
        row(account_id=""),
        row(account_id=None),
        row(),
    ]
    ledger = evaluate(rows, JANUARY).rows
    assert (ledger.rows_in_source, ledger.outside_window, ledger.rows_scanned) == (8, 2, 6)
    assert ledger.invalid == {
        InvalidRow.MONTH_NULL: 1,
        InvalidRow.MONTH_NOT_FIRST_OF_MONTH: 2,
        InvalidRow.ACCOUNT_ID_NULL_OR_EMPTY: 2,
    }
    assert (ledger.account_months, ledger.duplicates) == (1, 0)


def test_the_threshold_is_compared_exactly_and_shown_rounded() -> None:
    """An ARR a cent short of the threshold is below it, although it would be shown as the threshold."""
    ids = iter("abcde")
    values = [Decimal("9999.99"), 10_000, 10_000.5, Decimal("10001.5"), -1]
    expected = evaluate([row(arr=value, account_id=next(ids)) for value in values], JANUARY)
    assert [alert.arr for alert in expected.alerts] == [10_002, 10_001, 10_000]
    assert [alert.account_id for alert in expected.alerts] == ["d", "c", "b"]
    assert expected.rows.below_threshold == 2


@pytest.mark.parametrize("arr", [None, float("nan"), float("inf"), 2.0**63, Decimal(2**63), 1e300])
def test_an_unknown_arr_is_withheld_unless_asked_for(arr: Any) -> None:
    """What no int64 can hold is unknown, counted by itself, and alerted last when asked for."""
    rows = [row(arr=arr), row(account_id="a2")]
    ledger = evaluate(rows, JANUARY).rows
    assert (ledger.at_risk, ledger.unknown_arr, ledger.alerts) == (2, 1, 1)
    expected = evaluate(rows, Criteria(month=JANUARY.month, alert_on_unknown_arr=True))
    assert [(alert.account_id, alert.arr) for alert in expected.alerts] == [("a2", 10_000), ("a1", None)]
    assert (expected.rows.unknown_arr, expected.rows.alerts) == (0, 2)


def test_the_ends_of_int64_are_known() -> None:
    """The largest and the smallest ARR that int64 holds are values like any other."""
    assert known_arr(2**63 - 1) == 2**63 - 1
    assert known_arr(-(2**63)) == -(2**63)


def test_a_null_name_shows_the_id() -> None:
    """An alert always has something to call the account by."""
    assert evaluate([row(account_name=None)], JANUARY).alerts[0].account_name == "a1"


@pytest.mark.parametrize(
    ("rows", "span"),
    [
        ([], (None, None)),
        ([row("2025-03-01"), row("2026-02-15"), row(None)], ("2025-03-01", "2026-02-01")),
        ([row("2026-01-31"), row(account_id=None)], ("2026-01-01", "2026-01-01")),
    ],
)
def test_a_month_without_a_valid_row_is_not_in_the_source(rows: list[Row], span: tuple[Any, Any]) -> None:
    """Nothing to say about the month is an error that names the months there are."""
    with pytest.raises(MonthNotInSourceError) as raised:
        evaluate(rows, JANUARY)
    assert (raised.value.first, raised.value.last) == tuple(m and Month.parse(m) for m in span)


@given(histories(), st.randoms())
def test_order_changes_nothing(history: History, random: Any) -> None:
    """The oracle itself never looks at a row's position."""
    shuffled = list(history.rows)
    random.shuffle(shuffled)
    assert _answer(history.rows, history.criteria) == _answer(shuffled, history.criteria)


@given(st.data())
def test_a_layout_keeps_the_rows(data: st.DataObject) -> None:
    """Whatever the layout, the files hold exactly the history's rows."""
    history = data.draw(histories(max_rows=12))
    layout = data.draw(layouts(history))
    with TemporaryDirectory() as folder:
        paths = write(history, layout, Path(folder))
        found = [row for path in paths for row in _rows_of(path)]
    assert sorted(map(repr, found)) == sorted(repr(_comparable(row)) for row in history.rows)


def _answer(rows: Any, criteria: Criteria) -> Any:
    try:
        return evaluate(rows, criteria)
    except MonthNotInSourceError as missing:
        return missing.first, missing.last


def _rows_of(path: Path) -> list[tuple[Any, ...]]:
    """Read a file by other conversions than those that wrote it."""
    source = pq.ParquetFile(path).read()
    columns: dict[str, list[Any]] = {}
    for name in COLUMNS:
        if name not in source.column_names:
            columns[name] = [None] * source.num_rows
            continue
        values = source[name].combine_chunks()
        if name == "updated_at":
            unit = NANOSECONDS[values.type.unit]
            columns[name] = [value and value * unit for value in values.cast(pa.int64()).to_pylist()]
            continue
        if name in ("month", "renewal_date") and not pa.types.is_null(values.type):
            if pa.types.is_timestamp(values.type) and values.type.tz is not None:
                columns[name] = _wall_dates(values)
                continue
            values = pc.cast(values, pa.date32())
        # Text may be stored as bytes.
        columns[name] = [
            value.decode() if isinstance(value, bytes) else value for value in values.to_pylist()
        ]
    assert set(DEFAULT_TYPES) == set(columns)
    rows = zip(*(columns[name] for name in COLUMNS), strict=True)
    return [_comparable(dict(zip(COLUMNS, row, strict=True))) for row in rows]


def _wall_dates(values: pa.Array) -> list[date | None]:
    """Return the days on the wall of the values' zone; Arrow's own tables of zones end in 2037."""
    zone, unit = ZoneInfo(values.type.tz), NANOSECONDS[values.type.unit]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        None
        if value is None
        else (epoch + timedelta(microseconds=value * unit // 1000)).astimezone(zone).date()
        for value in values.cast(pa.int64()).to_pylist()
    ]


def _comparable(row: Row) -> tuple[Any, ...]:
    arr = row["arr"]
    exact = str(Fraction(arr)) if arr is not None and math.isfinite(arr) else repr(arr)
    return (*(row[name] for name in COLUMNS if name != "arr"), exact)
