"""Types: whichever of Arrow's types a writer chose for a column, with nulls in it, the answer is the same."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

from tests.support.evaluating import JANUARY, evaluated, row, write
from tests.support.histories import COLUMNS, DEFAULT_TYPES, STRINGS, string_types, table

DECEMBER: Final = dt.date(2025, 12, 1)
ROWS: Final = [
    row("a1", account_owner="Ann", renewal_date=dt.date(2026, 6, 1)),
    row("a1", DECEMBER),
    row("a2", account_name=None, account_region=None, arr=None, updated_at=None),
    row("a3", status=None),
    row("a3", status="at risk", updated_at=None),
    row(None),
    row("a4", arr=12),
]


def evaluated_as(path: Path, column: str, kind: pa.DataType, **options: Any) -> Any:
    """Evaluate the rows with one column of another type."""
    made = table(ROWS, types={column: kind})
    assert made.schema.field(column).type == kind
    answer = evaluated(write(path, made, **options))
    return answer.alerts, answer.rows, answer.warnings


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what is found where all text is plain strings."""
    path = tmp_path_factory.mktemp("plain") / "plain.parquet"
    found = evaluated_as(path, STRINGS[0], DEFAULT_TYPES[STRINGS[0]])
    assert found[1].alerts == 1
    return found


@pytest.mark.parametrize("kind", string_types(), ids=str)
@pytest.mark.parametrize("column", STRINGS)
def test_text_of_every_dictionary_view_and_index(
    tmp_path: Path, plain: Any, column: str, kind: pa.DataType
) -> None:
    """Also indices without a sign, beside a null, as Polars writes a Categorical."""
    assert evaluated_as(tmp_path / "a.parquet", column, kind) == plain


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.int16(), pa.int32(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64()),
        *(pa.decimal32(9, 2), pa.decimal64(18, 2), pa.decimal128(38, 10), pa.decimal256(76, 40)),
        pa.float16(),
    ],
    ids=str,
)
def test_numbers_of_every_type(tmp_path: Path, kind: pa.DataType) -> None:
    """An ARR is the same number in every type that can hold it."""
    amounts = [20_000, None, 12]
    rows = [row(f"a{place}", arr=amount) for place, amount in enumerate(amounts)]
    whole = table(rows)
    made = pa.array([None if amount is None else Decimal(amount) for amount in amounts])
    if not pa.types.is_decimal(kind):
        made = pa.array(amounts, kind if pa.types.is_integer(kind) else pa.float64())
    whole = whole.set_column(COLUMNS.index("arr"), "arr", made.cast(kind))
    answer = evaluated(write(tmp_path / "a.parquet", whole))
    assert [(alert.account_id, alert.arr) for alert in answer.alerts] == [("a0", 20_000)]
    assert (answer.rows.unknown_arr, answer.rows.below_threshold) == (1, 1)


@pytest.mark.parametrize(
    "kind",
    [
        pa.date32(),
        pa.date64(),
        *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")),
    ],
    ids=str,
)
@pytest.mark.parametrize("column", ["month", "renewal_date"])
def test_days_of_every_type(tmp_path: Path, column: str, kind: pa.DataType) -> None:
    """A day is the same day as a date and as its midnight."""
    plain = evaluated_as(tmp_path / "plain.parquet", column, pa.date32())
    assert evaluated_as(tmp_path / "a.parquet", column, kind) == plain
    assert plain[0][0].renewal_date == dt.date(2026, 6, 1)
    assert plain[0][0].month == JANUARY.month


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize(("later", "earlier"), [("9999-12-31", "2200-01-01"), ("1750-01-01", "0001-01-01")])
def test_the_newest_row_counts_however_far_away(tmp_path: Path, unit: str, later: str, earlier: str) -> None:
    """Sentinel dates are dates: Healthy since 9999 overrules At Risk since 2200."""
    epoch = dt.date(1970, 1, 1)
    instants = [(dt.date.fromisoformat(day) - epoch).days * 86_400 * 10**9 for day in (earlier, later)]
    statuses = ("At Risk", "Healthy")
    for order in (statuses, statuses[::-1]):
        rows = [row("a", status=one, updated_at=when) for one, when in zip(order, instants, strict=True)]
        made = table([*rows, row("b")], types={"updated_at": pa.timestamp(unit)})
        alerts = evaluated(write(tmp_path / "a.parquet", made)).alerts
        assert [alert.account_id for alert in alerts] == (["a", "b"] if order[1] == "At Risk" else ["b"])
