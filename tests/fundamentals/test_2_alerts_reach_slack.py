"""Lesson 2: a run posts each alert to Slack once, and records what became of it."""

from mock_slack.script import Step
from service.domain.delivery_status import Outcome, Reason
from tests.support.house import AMER, House
from tests.support.rows import account


async def test_a_run_posts_each_alert_to_its_channel(house: House) -> None:
    """Two regions, two channels, one message each; the run's counts say so."""
    source = house.source([account("acme"), account("umbrella", account_region="EMEA")])
    async with house.open() as desk:
        record = await desk.run(source)
    assert record.counts.alerts_sent == 2
    assert {name for name, seen in house.slack.stats().channels.items() if seen.accepted} == {
        "amer-risk-alerts",
        "emea-risk-alerts",
    }


async def test_running_it_again_sends_nothing(house: House) -> None:
    """What was sent stays sent, however often a month is run."""
    source = house.source([account("acme")])
    async with house.open() as desk:
        await desk.run(source)
        again = await desk.run(source)
    assert (again.counts.alerts_sent, again.counts.skipped_replay) == (0, 1)
    assert house.slack.stats().total.accepted == 1


async def test_slack_may_ask_to_wait(house: House) -> None:
    """A 429 pauses the lane for as long as Slack says; the alert then arrives, with two POSTs."""
    house.slack.script(AMER, Step(status=429, headers={"Retry-After": "3"}))
    async with house.open() as desk:
        record = await desk.run(house.source([account("acme")]))
        alert = (await desk.alerts(record))[0]
    assert (alert.outcome, alert.attempts) == (Outcome.SENT, 2)


async def test_an_alert_whose_answer_is_lost_is_in_doubt(house: House) -> None:
    """Slack took the message and the connection broke: nobody can know, so it is held and not sent twice."""
    house.slack.script(AMER, Step(drop="after"))
    source = house.source([account("acme")])
    async with house.open() as desk:
        first = await desk.run(source)
        again = await desk.run(source)
    assert first.counts.unknown == again.counts.unknown == 1
    assert house.slack.stats().total.requests == 1


async def test_support_is_notified_of_a_region_without_a_channel(house: House) -> None:
    """There is no default channel: the alert fails, support is notified, and a corrected source sends it."""
    async with house.open() as desk:
        record = await desk.run(house.source([account("acme", account_region=None)]))
        alert = (await desk.alerts(record))[0]
        corrected = await desk.run(house.source([account("acme")], "corrected.parquet"))
    assert (alert.outcome, alert.reason) == (Outcome.FAILED, Reason.UNKNOWN_REGION)
    assert len(list(house.folder.rglob("*.eml"))) == 1
    assert corrected.counts.alerts_sent == 1
