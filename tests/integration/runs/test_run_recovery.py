"""A run knows whether the accounts that people work on are still At Risk, and its messages know who does."""

from typing import Any

import pytest

from service.domain.errors import MonthNotInSourceError
from tests.support.given import Given
from tests.support.house import Desk, House, account_of
from tests.support.rows import account

FEB, MAR = "2026-02-01", "2026-03-01"


async def _alerts(desk: Desk) -> dict[str, tuple[Any, ...]]:
    rows = await Given(desk.app.store).sql("SELECT * FROM alerts")
    return {row["subject"]: (row["status"], row["resolution_reason"], row["last_seen"]) for row in rows}


async def test_the_newest_month_ends_what_has_recovered(house: House) -> None:
    """One that is healthy has recovered; one that is gone, too small or of no ARR is marked."""
    rows = [account(name) for name in ("still", "healthy", "gone", "small", "unknown")]
    later = [
        account("still", month=FEB),
        account("healthy", month=FEB, status="Healthy"),
        account("small", month=FEB, arr=5),
        account("unknown", month=FEB, arr=None),
        account("new", month=FEB),
    ]
    source = house.source([*rows, *later])
    async with house.open() as desk:
        await desk.run(source)
        assert set((await _alerts(desk)).values()) == {("triggered", None, "alerting")}
        preview = await desk.preview(source, month=FEB)
        assert [(one.subject, one.name, one.arr) for one in preview.recovered] == [
            ("healthy", "Account healthy", 50_000)
        ]
        assert (await desk.preview(source, month=FEB, limit=0)).recovered_total == 1
        rehearsal = await desk.run(source, month=FEB, dry_run=True)
        (would,) = [one for one in rehearsal.warnings if one.code == "would_recover"]
        assert (would.count, would.detail) == (1, "would be resolved as recovered: healthy")
        assert set((await _alerts(desk)).values()) == {("triggered", None, "alerting")}
        await desk.run(source, month=FEB)
        expected = {
            "still": ("triggered", None, "alerting"),
            "new": ("triggered", None, "alerting"),
            "healthy": ("resolved", "recovered", "recovered"),
            "gone": ("triggered", None, "not_seen"),
            "small": ("triggered", None, "below_threshold"),
            "unknown": ("triggered", None, "unknown_arr"),
        }
        assert await _alerts(desk) == expected
        assert (await desk.preview(source, month=FEB)).recovered == ()
        await desk.run(source)
        await desk.run(source, month=FEB)
        assert await _alerts(desk) == expected


async def test_next_months_message_says_who_acknowledged(house: House) -> None:
    """Acknowledging silences nothing: the message goes out, and names who works on it, and since when."""
    rows = [account(name, month=month) for month in ("2026-01-01", FEB) for name in ("mine", "nobodys")]
    source = house.source(rows)
    async with house.open() as desk:
        await desk.run(source)
        await Given(desk.app.store).sql(
            "UPDATE alerts SET status = 'acknowledged', acknowledged_by = 'ann <!here>', "
            "acknowledged_at = '2026-01-09 10:00:00' WHERE subject = 'mine'"
        )
        shown = await desk.preview(source, month=FEB)
        await desk.run(source, month=FEB)
    texts = {
        account_of(record.payload): str((record.payload or {})["text"])
        for record in house.slack.records()[2:]
    }
    assert set(texts) == {"mine", "nobodys"}
    assert "👀 Acknowledged by ann &lt;!here&gt; at 2026-01-09" in texts["mine"]
    assert "Acknowledged" not in texts["nobodys"]
    assert {item.alert.subject: item.message["text"] for item in shown.alerts} == texts


async def test_a_month_that_is_not_in_the_source_ends_nothing(house: House) -> None:
    """A run that fails says nothing of anybody."""
    source = house.source([account("a")])
    async with house.open() as desk:
        await desk.run(source)
        with pytest.raises(MonthNotInSourceError):
            await desk.run(source, month=MAR)
        assert await _alerts(desk) == {"a": ("triggered", None, "alerting")}
