"""The scan plan: what footers alone decide to read, in which order, and what is passed over and why."""

import datetime as dt
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.account_risk.account_at_risk import Criteria
from service.account_risk.scan_plan import ScanPlan, plan_scan
from service.account_risk.schema import ACCOUNT_ROWS
from service.domain.month import Month
from service.sources.parquet.footer import Footer
from tests.support.evaluating import row
from tests.support.histories import table

CRITERIA = Criteria(month=Month.parse("2026-01-01"), history_months=12)


def footer(*months: dt.date | None, kind: pa.DataType | None = None, **options: Any) -> Footer:
    """Return the footer of a file with one row, and one row group, for each month."""
    rows = [row(f"a{n}") | {"month": month} for n, month in enumerate(months)]
    file = BytesIO()
    made = table(rows, types={"month": kind} if kind else None)
    pq.write_table(made, file, row_group_size=1, **options)
    zoned = getattr(made.schema.field("month").type, "tz", None)
    return _footer(file, zoned=ZoneInfo(zoned) if zoned else None)


def _footer(file: BytesIO, *, zoned: dt.tzinfo | None = None) -> Footer:
    parquet = pq.ParquetFile(file)
    places = ACCOUNT_ROWS.places(parquet.schema)
    return Footer(
        name="a.parquet", metadata=parquet.metadata, schema=ACCOUNT_ROWS, places=places, day_zone=zoned
    )


def indexes(plan: ScanPlan) -> tuple[list[int], list[int], list[int]]:
    """Return the row groups of the three parts of a plan."""
    parts = plan.with_target, plan.before_target, plan.skipped
    return tuple([group.index for group in part] for part in parts)  # type: ignore[return-value]


MONTHS = (
    dt.date(2025, 3, 1),
    dt.date(2026, 1, 1),
    dt.date(2025, 12, 1),
    dt.date(2026, 2, 1),
    dt.date(2025, 1, 1),
    dt.date(2025, 2, 1),
)


@pytest.mark.parametrize(
    "kind", [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us")], ids=str
)
def test_the_target_month_first_then_newest_first(kind: pa.DataType) -> None:
    """Candidates are known before earlier months are read; what is outside the window is not read."""
    plan = plan_scan([footer(*MONTHS, kind=kind)], CRITERIA)
    assert indexes(plan) == ([1], [2, 0, 5], [3, 4])
    assert (plan.rows, plan.rows_skipped, plan.months, plan.months_with_target) == (6, 2, 12, 1)


def test_without_statistics_everything_is_read() -> None:
    """What is not known may hold the target month."""
    plan = plan_scan([footer(*MONTHS, write_statistics=False)], CRITERIA)
    assert indexes(plan) == ([0, 1, 2, 3, 4, 5], [], [])
    assert plan.months == 12


def test_a_null_month_is_never_skipped() -> None:
    """Rows without a month are invalid, and somebody has to count them."""
    assert indexes(plan_scan([footer(dt.date(2031, 1, 1), None)], CRITERIA)) == ([1], [], [0])


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/New_York"])
def test_zoned_months_have_a_margin_of_a_day(zone: str) -> None:
    """Statistics are in UTC, where a wall month may begin on the day before or after."""
    months = dt.date(2026, 1, 1), dt.date(2026, 2, 1), dt.date(2026, 3, 1), dt.date(2025, 12, 1)
    with_target, before, skipped = indexes(
        plan_scan([footer(*months, kind=pa.timestamp("us", zone))], CRITERIA)
    )
    assert 0 in with_target
    assert 2 in skipped
    assert 3 in before


def test_extreme_months_are_read() -> None:
    """A month that no date can say is left to the scan to validate."""
    far = pa.table({name: pa.nulls(1) for name in ("account_id", "status", "updated_at")})
    far = far.append_column("month", pa.array([2**62], pa.timestamp("us")))
    file = BytesIO()
    pq.write_table(far, file)
    plan = plan_scan([_footer(file)], CRITERIA)
    assert len(plan.with_target) == 1


def test_the_window_is_no_wider_than_the_source() -> None:
    """Memory is planned for the months that there are, not for those that history would allow."""
    plan = plan_scan([footer(*MONTHS)], Criteria(month=CRITERIA.month, history_months=1_200))
    assert plan.months == 13


def test_memory_is_stated_for_what_the_footers_cannot_tell() -> None:
    """A bound for each account grows with the months that are kept of it, and with nothing else."""
    months = MONTHS[0], MONTHS[1]
    short, long = (plan_scan([footer(*some)], CRITERIA) for some in (months, (*months, MONTHS[5])))
    assert long.bytes_per_account - short.bytes_per_account == long.months - short.months
    assert long.bytes_at_risk - short.bytes_at_risk == 8 * (long.months - short.months)
    mixed = plan_scan([footer(*months, write_statistics=False)], CRITERIA)
    assert mixed.bytes_per_account > 8 * CRITERIA.history_months


def test_a_plan_can_be_read() -> None:
    """A person sees what is read and what is not, and why; a machine the same numbers."""
    plan = plan_scan([footer(*MONTHS)], CRITERIA, threads=3)
    text = str(plan)
    assert "the window is 2025-02-01 to 2026-01-01" in text
    assert "1 row groups newer than the target month" in text
    assert "1 row groups older than the window" in text
    assert "on 3 threads" in text
    summary = plan.summary()
    assert summary["row_groups"]["with_target_month"] == 1
    assert summary["row_groups"]["earlier_months"] == 3
    assert (summary["rows_read"], summary["rows_skipped"]) == (4, 2)
    assert summary["compressed_bytes"]["every_row"] > 0


def test_a_long_dictionary_is_not_read_as_one() -> None:
    """Only chunks without any page of plain values are cheaper to read by their codes."""
    plain, short = footer(*MONTHS, use_dictionary=False), footer(*MONTHS)
    ranges = short.ranges(0, ["account_id", "month", "nobody's"])
    assert len(ranges) == 2
    assert all(length > 0 for _, length in ranges)
    assert plan_scan([plain], CRITERIA).with_target[0].dictionaries == ()
