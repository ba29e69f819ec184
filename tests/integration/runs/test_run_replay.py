"""Replays: what a second run of a month does, and what it does when the data has changed meanwhile."""

import sqlite3

from mock_slack.script import Step
from service.domain.delivery_status import Outcome, Reason
from tests.support.house import AMER, EMEA, House, account_of, arrivals, warning_codes
from tests.support.rows import account, accounts

LATER = "2026-02-01"


async def test_a_replay_sends_nothing_twice(house: House) -> None:
    """What was sent is skipped, whichever run, process or file asks for it again."""
    source = house.source(accounts(5))
    async with house.open() as desk:
        assert (await desk.run(source)).counts.alerts_sent == 5
        assert (await desk.run(source)).counts.skipped_replay == 5
    async with house.open() as desk:
        again = await desk.run(house.source(accounts(5), name="the same again.parquet"))
        assert again.counts.skipped_replay == 5
        assert set((await desk.outcomes(again)).values()) == {Outcome.SKIPPED_REPLAY}
    assert house.slack.stats().total.requests == 5


async def test_what_failed_before_is_tried_again(house: House) -> None:
    """A failure of one run is a fresh start for the next, and the first run's report stays as it was."""
    source = house.source(accounts(3))
    house.slack.script(AMER, Step(status=403, body="invalid_token"))
    async with house.open(slack_concurrency=1) as desk:
        first = await desk.run(source)
        assert (first.counts.failed_deliveries, first.counts.alerts_sent) == (1, 2)
        second = await desk.run(source)
        assert (second.counts.alerts_sent, second.counts.skipped_replay) == (1, 2)
        assert await desk.app.store.history.get_run(first.run_id) == first
    assert house.slack.stats().total.duplicates == {}


async def test_a_region_without_a_channel_is_sent_once_it_has_one(house: House) -> None:
    """unknown_region is never posted, and goes out with the run that finds it routable."""
    rows = [
        account("latam", account_region="LATAM"),
        account("none", account_region=None),
        account("blank", account_region="  "),
        account("near", account_region="amer"),
        account("fine"),
    ]
    source = house.source(rows)
    async with house.open() as desk:
        first = await desk.run(source)
        assert (first.counts.unknown_region, first.counts.failed_deliveries) == (4, 4)
        assert first.counts.alerts_sent == 1
        reasons = {error.alert.subject: error.reason for error in first.sample_errors}
        assert set(reasons.values()) == {Reason.UNKNOWN_REGION}
        assert {error.attempts for error in first.sample_errors} == {0}
        assert warning_codes(first).items() >= {"unknown_region": 4, "near_miss_region": 1}.items()
        assert (await desk.run(source)).counts.unknown_region == 4
    assert arrivals(house.slack) == [(AMER, "fine")]
    async with house.open(region_channels={"AMER": AMER, "LATAM": "latam-risk"}) as desk:
        last = await desk.run(source)
    assert (last.counts.alerts_sent, last.counts.unknown_region, last.counts.skipped_replay) == (1, 3, 1)
    assert arrivals(house.slack)[1:] == [("latam-risk", "latam")]


async def test_a_pending_alert_goes_out_as_the_newest_evaluation_has_it(house: House) -> None:
    """Channel, amounts and name of what has not left are those of the run that sends it."""
    house.slack.script(AMER, Step(), Step(status=429, headers={"Retry-After": "3600"}))
    async with house.open(slack_concurrency=1) as desk:
        first = await desk.run(house.source(accounts(3)))
        assert (first.counts.alerts_sent, first.counts.unsent) == (1, 2)
        rows = accounts(3)
        rows[0] |= {"account_name": "Renamed after it was sent"}
        rows[1] |= {"account_region": "EMEA", "account_name": "Moved"}
        rows[2] |= {"arr": 77_777}
        house.pauses_over()
        second = await desk.run(house.source(rows, name="restated.parquet"))
    assert (second.counts.alerts_sent, second.counts.skipped_replay) == (2, 1)
    messages = {account_of(record.payload): record for record in house.slack.records()[2:]}
    assert messages.keys() == {"a0001", "a0002"}
    assert messages["a0001"].channel == EMEA
    assert "Moved" in (messages["a0001"].payload or {})["text"]
    assert "$77,777" in (messages["a0002"].payload or {})["text"]


async def test_what_is_undelivered_in_any_month_is_counted(house: House) -> None:
    """Every run warns of it, also a run of another month, until it has gone out."""
    rows = [account("a"), account("b", account_region="LATAM"), account("c", month=LATER)]
    source = house.source(rows)
    house.slack.script(AMER, Step(drop="after"))
    async with house.open() as desk:
        first = await desk.run(source)
        assert warning_codes(first)["undelivered_alerts"] == 2
        later = await desk.run(source, month=LATER)
        assert warning_codes(later) == {"undelivered_alerts": 2}


async def test_every_post_is_on_record(house: House) -> None:
    """`attempts` has each POST with its status and Retry-After, and one row per alert stands for them all."""
    house.slack.script(
        AMER, Step(status=429, headers={"Retry-After": "1.5"}), Step(status=502), Step(status=200)
    )
    async with house.open() as desk:
        await desk.run(house.source(accounts(1)))
    with sqlite3.connect(house.database) as ledger:
        attempts = ledger.execute(
            "SELECT http_status, retry_after_s, status, error FROM attempts ORDER BY claim"
        ).fetchall()
        outcome = ledger.execute("SELECT account_id, month, alert_type, status, error FROM alert_outcomes")
        assert outcome.fetchall() == [("a0000", "2026-01-01", "risk_alert", "sent", None)]
    ledger.close()
    assert attempts == [
        (429, 1.5, "pending", "rate_limited"),
        (502, None, "pending", "server_error"),
        (200, None, "sent", None),
    ]
