"""Outages: what a Slack that fails for a while, or for good, does to a run."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes, policy

import pytest

from mock_slack.script import Step
from service.delivery.outage import DEAD_AFTER, OUTAGE_AFTER, UNREACHABLE_PATIENCE_S, UNREADABLE_AFTER
from service.domain.delivery_status import Outcome, Reason
from service.telemetry.delivery_events import LaneEnded, LanePaused
from service.telemetry.events import Event, Events
from tests.support.house import AMER, EMEA, House, arrivals, warning_codes
from tests.support.rows import accounts

SENDERS = 4
BROKEN = Step(headers={"Content-Encoding": "gzip"}, times=1_000)
"""Accepted, and the answer says that it is compressed, which it is not."""


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Return the URL of a webhook where nobody listens."""
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{nobody.getsockname()[1]}/hook"


def heard() -> tuple[Events, list[Event]]:
    """Return events, and the list that they are put into."""
    seen: list[Event] = []
    return Events(seen.append), seen


async def test_server_errors_for_a_while_fail_nothing(house: House) -> None:
    """Dozens of 503s in a row, at four senders: the lane waits, and then sends every alert once."""
    house.slack.script(AMER, Step(status=503, times=12))
    async with house.open(slack_concurrency=SENDERS) as desk:
        record = await desk.run(house.source(accounts(60)))
    assert (record.counts.alerts_sent, warning_codes(record)) == (60, {})
    assert house.slack.stats().total.requests == 72


@pytest.mark.parametrize(
    "step", [Step(drop="before", times=8), Step(delay_s=60, times=8)], ids=["reset", "hang"]
)
async def test_silence_for_a_while_leaves_few_doubts(house: House, step: Step) -> None:
    """What was on its way when it began is in doubt, and one alert for each look whether it is over."""
    house.slack.script(AMER, step)
    async with house.open(slack_concurrency=SENDERS, slack_timeout_s=0.5) as desk:
        record = await desk.run(house.source(accounts(60)))
    assert (record.counts.unknown, record.counts.alerts_sent) == (8, 52)


async def test_an_endless_outage_ends_with_the_deadline_and_says_why(house: House) -> None:
    """A few messages are tried, none fails, the rest is the next run's, and people hear what was wrong."""
    house.slack.script(AMER, Step(status=503, times=1_000))
    events, seen = heard()
    source = house.source(accounts(60))
    async with house.open(slack_concurrency=SENDERS, delivery_deadline_s=300, events=events) as desk:
        record = await desk.run(source)
        alerts = await desk.alerts(record)
        assert {(alert.outcome, alert.reason) for alert in alerts} == {(Outcome.UNSENT, Reason.DEADLINE)}
        assert {"server_error" in (alert.error_message or "") for alert in alerts} == {True}
        assert house.slack.stats().total.requests < 20
        assert warning_codes(record)["destination_failed"] == 60
        house.slack.reset()
        assert (await desk.run(source)).counts.alerts_sent == 60
    pauses = [event.pause_s for event in seen if isinstance(event, LanePaused)]
    assert pauses[:6] == sorted(pauses[:6]), "up to a minute and its jitter"
    assert pauses[0] < 2
    assert [event.reason for event in seen if isinstance(event, LaneEnded)] == [Reason.DEADLINE]


async def test_an_endless_silence_costs_few_doubts(house: House) -> None:
    """However long it lasts: a doubt for each look, and the looks become rare."""
    house.slack.script(AMER, Step(drop="before", times=1_000))
    async with house.open(slack_concurrency=SENDERS, delivery_deadline_s=300) as desk:
        record = await desk.run(house.source(accounts(60)))
    assert record.counts.unknown <= OUTAGE_AFTER - 1 + SENDERS + 10
    assert record.counts.unknown + record.counts.unsent == 60


async def test_a_destination_that_refuses_connections_is_given_up(house: House, nowhere: str) -> None:
    """After two minutes the rest is failed untried, support hears of it, and the next run sends it all."""
    source = house.source(accounts(30))
    events, seen = heard()
    async with house.open(slack_webhook_base_url=nowhere, events=events) as desk:
        began = house.clock.monotonic()
        record = await desk.run(source)
        took = house.clock.monotonic() - began
        alerts = await desk.alerts(record)
    assert {(alert.outcome, alert.reason) for alert in alerts} == {(Outcome.FAILED, Reason.SLACK_UNREACHABLE)}
    assert sum(alert.attempts for alert in alerts) < 20
    assert UNREACHABLE_PATIENCE_S <= took < 300
    assert warning_codes(record)["all_deliveries_failed"] == 30
    assert Reason.SLACK_UNREACHABLE in {event.reason for event in seen if isinstance(event, LanePaused)}
    assert "no connection" in _notice(house)
    async with house.open() as desk:
        again = await desk.run(source)
    assert again.counts.alerts_sent == 30
    assert house.slack.stats().total.duplicates == {}


async def test_a_proxy_that_breaks_every_answer_costs_three_doubts(house: House) -> None:
    """The rest of the lane stays pending and is not posted; support hears of it; other lanes go on."""
    rows = accounts(30) + accounts(5, region="EMEA", prefix="e")
    source = house.source(rows)
    house.slack.script(AMER, BROKEN)
    async with house.open(slack_concurrency=1) as desk:
        record = await desk.run(source)
        alerts = await desk.alerts(record)
        of_amer = [alert for alert in alerts if alert.channel == AMER]
        assert Counter((alert.outcome, alert.reason) for alert in of_amer) == {
            (Outcome.UNKNOWN, Reason.RESPONSE_LOST): UNREADABLE_AFTER,
            (Outcome.UNSENT, Reason.ANSWERS_UNREADABLE): 30 - UNREADABLE_AFTER,
        }
        assert house.slack.stats().channels[AMER].requests == UNREADABLE_AFTER
        assert record.counts.alerts_sent == 5
        assert warning_codes(record)["destination_failed"] == 30 - UNREADABLE_AFTER
        assert f"#{AMER}: 27 not sent" in _notice(house)
        house.slack.reset()
        again = await desk.run(source)
    assert (again.counts.alerts_sent, again.counts.unknown) == (30 - UNREADABLE_AFTER, UNREADABLE_AFTER)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, "no_service", Reason.NOT_FOUND),
        (403, "invalid_token", Reason.FORBIDDEN),
        (410, "channel_is_archived", Reason.GONE),
    ],
)
async def test_a_webhook_that_is_dead_is_given_up(
    house: House, status: int, body: str, reason: Reason
) -> None:
    """After three the rest is failed untried, support hears of it, and the next run sends it all."""
    house.slack.script(AMER, Step(status=status, body=body, times=1_000))
    source = house.source(accounts(30))
    async with house.open(slack_concurrency=1) as desk:
        record = await desk.run(source)
        alerts = await desk.alerts(record)
        assert {(alert.outcome, alert.reason) for alert in alerts} == {(Outcome.FAILED, reason)}
        assert sum(alert.attempts for alert in alerts) == DEAD_AFTER
        assert record.warnings[0].code == "all_deliveries_failed"
        assert (
            warning_codes(record).items() >= {"all_deliveries_failed": 30, "destination_failed": 30}.items()
        )
        assert f"#{AMER}: 30 not sent: the webhook is dead (HTTP {status})" in _notice(house)
        await desk.run(source)
        assert _notice(house), "of the same support is not notified again"
        house.slack.reset()
        assert (await desk.run(source)).counts.alerts_sent == 30


async def test_a_lane_of_three_alerts_is_given_up_with_its_last(house: House) -> None:
    """Nothing is left that could be untried, and support hears of it all the same."""
    house.slack.script(AMER, Step(status=404, times=3))
    async with house.open() as desk:
        assert warning_codes(await desk.run(house.source(accounts(3))))["destination_failed"] == 3
    assert f"#{AMER}: 3 not sent" in _notice(house)


async def test_what_one_message_is_rejected_for_gives_no_webhook_up(house: House) -> None:
    """A 400 between, or a message that is taken, shows that the webhook lives."""
    for step in (Step(status=404, times=2), Step(status=400), Step(status=404, times=2), Step(times=1)):
        house.slack.script(AMER, step)
    house.slack.script(AMER, Step(status=410, times=2))
    async with house.open(slack_concurrency=1) as desk:
        record = await desk.run(house.source(accounts(12)))
    assert (record.counts.failed_deliveries, record.counts.alerts_sent) == (7, 5)
    assert "destination_failed" not in warning_codes(record)


async def test_one_lanes_outage_is_no_other_lanes(house: House) -> None:
    """While one channel's server fails for a minute, the other's alerts are through."""
    rows = accounts(20) + accounts(20, region="EMEA", prefix="e")
    house.slack.script(AMER, Step(status=502, times=10))
    async with house.open(slack_concurrency=SENDERS) as desk:
        record = await desk.run(house.source(rows))
    assert record.counts.alerts_sent == 40
    delivered = [channel for channel, _ in arrivals(house.slack, status=200)]
    assert delivered[:20] == [EMEA] * 20


def _notice(house: House) -> str:
    (path,) = (house.folder / "support_notices").iterdir()
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    return str(message.get_content())
