"""Time zones of months: a wall clock's day is that day, whatever its zone is called and whenever it was."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from service.account_risk.account_at_risk import Criteria
from service.domain.errors import SchemaMismatchError
from service.domain.month import Month
from tests.support.evaluating import evaluated, row, write
from tests.support.histories import COLUMNS, table

ZONES = {
    **dict.fromkeys(("utc", "UTC", "Z", "GMT", "Etc/UTC"), 0),
    "UTC+3": 180,
    "GMT-5": -300,
    "+0530": 330,
    "utc+05:30": 330,
    "-11": -660,
    "+14:00": 840,
}


def in_zone(rows: list[dict[str, object]], column: str, zone: str, minutes: int = 0) -> pa.Table:
    """Return the rows with a column of midnights on the wall of a zone, so many minutes ahead of UTC."""
    ahead = dt.timedelta(minutes=minutes)
    day = [dt.datetime.combine(one[column], dt.time()) - ahead for one in rows]  # type: ignore[arg-type]
    values = pa.array(day, pa.timestamp("us")).cast(pa.int64()).cast(pa.timestamp("us", zone))
    return table(rows).set_column(COLUMNS.index(column), column, values)


@pytest.mark.parametrize(("zone", "minutes"), ZONES.items())
def test_plain_names_of_zones_are_understood(tmp_path: Path, zone: str, minutes: int) -> None:
    """Also those that are no name in the zone database, but leave no doubt."""
    rows = [row(month=Month.parse(month).first_day) for month in ("2026-01-01", "2025-12-01")]
    (alert,) = evaluated(write(tmp_path / "a.parquet", in_zone(rows, "month", zone, minutes))).alerts
    assert alert.duration_months == 2
    rows = [row(renewal_date=dt.date(2026, 6, 1))]
    (alert,) = evaluated(write(tmp_path / "b.parquet", in_zone(rows, "renewal_date", zone, minutes))).alerts
    assert alert.renewal_date == dt.date(2026, 6, 1)


@pytest.mark.parametrize("zone", ["tzlocal()", "Mars/Olympus", "+25:00", "../../etc/passwd", "x" * 500])
@pytest.mark.parametrize("column", ["month", "renewal_date"])
def test_an_unknown_zone_is_named(tmp_path: Path, column: str, zone: str) -> None:
    """Nobody can say which day it was there."""
    rows = in_zone([row(renewal_date=dt.date(2026, 6, 1))], column, zone)
    with pytest.raises(SchemaMismatchError) as raised:
        evaluated(write(tmp_path / "a.parquet", rows))
    assert f"{column}: there is no time zone {zone[:40]!r}" in raised.value.detail


def test_an_instant_is_the_same_in_an_unknown_zone(tmp_path: Path) -> None:
    """Which of two rows is newer can be said without knowing what a wall clock showed."""
    rows = table([row(), row(status="Healthy", updated_at=2 * 10**18)])
    when = rows.column("updated_at").cast(pa.timestamp("us", "tzlocal()"))
    rows = rows.set_column(COLUMNS.index("updated_at"), "updated_at", when)
    assert evaluated(write(tmp_path / "a.parquet", rows)).alerts == ()


@pytest.mark.parametrize("month", ["2038-07-01", "2100-01-01", "2400-07-01", "9999-12-01"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kolkata"])
def test_summer_time_goes_on_after_2037(tmp_path: Path, zone: str, month: str) -> None:
    """As far as the rules of today go."""
    target = Month.parse(month)
    rows = table(
        [row(month=target.minus(back).first_day) for back in range(12)],
        types={"month": pa.timestamp("ms", zone)},
    )
    answer = evaluated(write(tmp_path / "a.parquet", rows), Criteria(month=target))
    assert [alert.duration_months for alert in answer.alerts] == [12]
