"""Rehearsals: dry runs and previews say what a run will do, and change nothing."""

import sqlite3
from typing import Any

from mock_slack.script import Step
from service.domain.delivery_status import Outcome
from service.domain.run import Action
from tests.support.house import AMER, Desk, House
from tests.support.rows import account, accounts

_BECOMES = {
    Action.SEND: Outcome.SENT,
    Action.SKIP_REPLAY: Outcome.SKIPPED_REPLAY,
    Action.HOLD: Outcome.UNKNOWN,
    Action.FAIL: Outcome.FAILED,
}


def _outbox(house: House) -> list[Any]:
    with sqlite3.connect(house.database) as ledger:
        rows = ledger.execute("SELECT * FROM outbox ORDER BY id").fetchall()
    ledger.close()
    return rows


async def _previewed(desk: Desk, source: str) -> list[tuple[str, str | None, Action]]:
    shown = await desk.preview(source)
    assert shown.total == len(shown.alerts)
    return [(row.alert.subject, row.channel, row.action) for row in shown.alerts]


async def test_a_dry_run_sends_and_claims_nothing(house: House) -> None:
    """It is recorded with `would_send`, the outbox stays empty, and the real run then sends it all."""
    source = house.source(accounts(4))
    async with house.open() as desk:
        record = await desk.run(source, dry_run=True)
        assert (record.counts.would_send, record.counts.alerts_sent) == (4, 0)
        assert _outbox(house) == []
        assert (await desk.run(source)).counts.alerts_sent == 4
        sent = _outbox(house)
        again = await desk.run(source, dry_run=True)
    assert (again.counts.would_send, again.counts.skipped_replay) == (0, 4)
    assert _outbox(house) == sent
    assert house.slack.stats().total.requests == 4


async def test_what_the_preview_says_the_run_does(house: House) -> None:
    """The same set in the same order, each with the action that was told: sent, skipped, held, failed."""
    rows = [
        *accounts(3),
        account("latam", account_region="LATAM"),
        *accounts(2, region="EMEA", prefix="e"),
        account("quiet", arr=100),
    ]
    source, early = house.source(rows), house.source(rows[:2], name="early.parquet")
    house.slack.script(AMER, Step(), Step(drop="after"))
    async with house.open(slack_concurrency=1) as desk:
        await desk.run(early)
        before = _outbox(house)
        previewed = await _previewed(desk, source)
        assert _outbox(house) == before
        record = await desk.run(source)
        alerts = await desk.alerts(record)
    # A digest stands for alerts of logs alone.
    assert {action for _, _, action in previewed} == set(Action) - {Action.IN_DIGEST}
    done = [(row.alert.subject, row.channel, row.outcome) for row in alerts]
    assert done == [(who, channel, _BECOMES[action]) for who, channel, action in previewed]


async def test_rehearsals_warn_of_what_the_run_will_warn_of(house: House) -> None:
    """Who has no channel is known before anything is sent."""
    source = house.source(
        [*accounts(2), account("latam", account_region="LATAM"), account("near", account_region="amer")]
    )
    async with house.open() as desk:
        previewed = (await desk.preview(source, limit=1)).warnings
        rehearsed = (await desk.run(source, dry_run=True)).warnings
        warned = (await desk.run(source)).warnings
    assert {(one.code, one.count) for one in previewed} == {("near_miss_region", 1), ("unknown_region", 2)}
    assert set(previewed) == set(rehearsed)
    assert set(previewed) < set(warned)


async def test_what_cannot_be_sent_in_time_is_said_first(house: House) -> None:
    """Before the run by the preview, and after it by the run."""
    source = house.source([*accounts(8), account("nowhere", account_region="MARS")])
    async with house.open(slack_messages_per_second=1, delivery_deadline_s=5) as desk:
        foreseen = await desk.preview(source, limit=10)
        record = await desk.run(source)
    assert (foreseen.warnings[0].code, foreseen.warnings[0].count) == ("deadline_too_short", 3)
    assert record.counts.unsent >= 3
    assert (record.warnings[0].code, record.warnings[0].count) == ("unsent_alerts", record.counts.unsent)
    assert f"{record.counts.unsent} of this run's 9 alerts" in record.warnings[0].detail
