"""Lesson 1: what the rows of a source say about a month. Read this first; every test is a sentence.

A source has one row for each account and month. `account(...)` is such a row: At Risk, in AMER, worth enough.
"""

from datetime import UTC, date, datetime

from service.domain.run import Preview
from tests.support.house import House
from tests.support.rows import account

JANUARY = "2026-01-01"
DECEMBER = "2025-12-01"
OCTOBER = "2025-10-01"


async def previewed(house: House, rows: list[dict[str, object]]) -> Preview:
    """Show what a run of January would send; nothing is written or sent."""
    async with house.open() as desk:
        return await desk.preview(house.source(rows), month=JANUARY)


async def test_an_account_at_risk_is_an_alert(house: House) -> None:
    """One row, At Risk in the month that is asked for: one alert, for its region's channel."""
    shown = await previewed(house, [account("acme", month=JANUARY)])
    assert [row.alert.subject for row in shown.alerts] == ["acme"]
    assert shown.alerts[0].channel == "amer-risk-alerts"


async def test_a_streak_is_counted_backwards_until_it_breaks(house: House) -> None:
    """January and December are a streak of two; October does not count, because November is missing."""
    shown = await previewed(house, [account("acme", month=month) for month in (OCTOBER, DECEMBER, JANUARY)])
    alert = shown.alerts[0].alert
    assert alert.facts["duration_months"] == 2
    assert alert.facts["risk_start_month"] == DECEMBER


async def test_the_latest_row_of_a_month_counts(house: House) -> None:
    """A later Healthy row overrules At Risk, and the ledger says that one row was a duplicate."""
    shown = await previewed(
        house,
        [
            account("acme", updated_at=datetime(2026, 1, 3, tzinfo=UTC)),
            account("acme", updated_at=datetime(2026, 1, 4, tzinfo=UTC), status="Healthy"),
            account("other"),
        ],
    )
    assert [row.alert.subject for row in shown.alerts] == ["other"]
    assert shown.ledger.rows["duplicates"] == 1


async def test_small_and_unknown_amounts_are_withheld_and_counted(house: House) -> None:
    """Below the threshold is no alert, and an unknown ARR is not zero: each has its own number."""
    shown = await previewed(
        house, [account("small", arr=9_999), account("unknown", arr=None), account("big")]
    )
    rows = shown.ledger.rows
    found = [rows[name] for name in ("at_risk", "below_threshold", "unknown_arr", "alerts")]
    assert found == [3, 1, 1, 1]


async def test_a_row_that_makes_no_sense_is_counted_and_shown(house: House) -> None:
    """A month is a first of month; a row of the 15th is invalid, and the answer shows which one it was."""
    shown = await previewed(house, [account("acme"), account("odd", month="2026-01-15")])
    assert sum(shown.ledger.rows["invalid"].values()) == 1
    assert shown.invalid_samples[0].account_id == "odd"
    assert shown.invalid_samples[0].month == date(2026, 1, 15).isoformat()
