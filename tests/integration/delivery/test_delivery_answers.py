"""Answers: what every kind of answer of Slack does to an alert."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from mock_slack.script import Step
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from tests.support.house import AMER, Desk, House, arrivals, warning_codes
from tests.support.rows import accounts


async def _only_error(
    house: House, desk: Desk, *, count: int = 1
) -> tuple[Outcome, Reason | None, int | None, int]:
    """Run one alert and return what the run's sample of errors says of it."""
    record = await desk.run(house.source(accounts(count)))
    (error,) = record.sample_errors
    assert error.alert.subject == "a0000"
    assert error.channel == AMER
    return error.outcome, error.reason, error.http_status, error.attempts


@pytest.mark.parametrize("body", ["ok", '{"channel": "C1"}'])
async def test_a_2xx_that_reports_no_error_is_a_delivery(house: House, body: str) -> None:
    """`ok`, an empty body and a JSON object without an error all count as sent."""
    house.slack.script(AMER, Step(status=200, body=body))
    async with house.open() as desk:
        record = await desk.run(house.source(accounts(1)))
    assert (record.counts.alerts_sent, record.sample_errors) == (1, ())


@pytest.mark.parametrize("body", ["invalid_token", "<html>captive portal</html>"])
async def test_a_2xx_that_says_anything_else_is_a_failure(house: House, body: str) -> None:
    """A 200 with `invalid_token` in it is no delivery, and is not tried again in this run."""
    house.slack.script(AMER, Step(status=200, body=body))
    async with house.open() as desk:
        assert await _only_error(house, desk) == (Outcome.FAILED, Reason.UNEXPECTED_BODY, 200, 1)


@pytest.mark.parametrize("status", [500, 599])
async def test_a_5xx_is_retried_three_times_and_then_failed(house: House, status: int) -> None:
    """Four attempts without luck end as `server_error`."""
    house.slack.script(AMER, Step(status=status, times=4))
    async with house.open() as desk:
        assert await _only_error(house, desk) == (Outcome.FAILED, Reason.SERVER_ERROR, status, 4)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.BAD_REQUEST),
        (404, Reason.NOT_FOUND),
        (408, Reason.REQUEST_TIMEOUT),
        (302, Reason.REDIRECTED),
    ],
)
async def test_other_refusals_are_final_each_with_its_reason(
    house: House, status: int, reason: Reason
) -> None:
    """A 4xx and a redirect are tried once; the others of the lane go on."""
    house.slack.script(AMER, Step(status=status))
    async with house.open(slack_concurrency=1) as desk:
        assert await _only_error(house, desk, count=3) == (Outcome.FAILED, reason, status, 1)
    assert house.slack.stats().total.accepted == 2


async def test_the_tenth_429_is_the_last(house: House) -> None:
    """Retry-After spends no retry, but an alert that was put off ten times has failed."""
    house.slack.script(AMER, Step(status=429, headers={"Retry-After": "0.5"}, times=10))
    async with house.open(slack_concurrency=1) as desk:
        assert await _only_error(house, desk) == (Outcome.FAILED, Reason.RATE_LIMITED, 429, 10)


async def test_nine_429s_and_three_500s_are_borne(house: House) -> None:
    """A 429 with Retry-After leaves the retries for the 5xx, and the third of these still delivers."""
    house.slack.script(
        AMER, Step(status=429, headers={"Retry-After": "0.5"}, times=9), Step(status=500, times=3)
    )
    async with house.open() as desk:
        (alert,) = await desk.alerts(await desk.run(house.source(accounts(1))))
    assert (alert.outcome, alert.attempts, alert.http_status) == (Outcome.SENT, 13, 200)
    assert house.slack.stats().total.requests == 13


@pytest.mark.parametrize("retry_after", [None, "soon", "0"])
async def test_a_429_without_a_usable_retry_after_backs_off_like_a_5xx(
    house: House, retry_after: str | None
) -> None:
    """What names no time spends the retries; four in a row are the end."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    house.slack.script(AMER, Step(status=429, headers=headers, times=4))
    async with house.open() as desk:
        assert await _only_error(house, desk) == (Outcome.FAILED, Reason.RATE_LIMITED, 429, 4)


async def test_a_retry_after_may_be_a_fraction_or_a_date(house: House) -> None:
    """Both forms pause the lane until then."""
    date = format_datetime((house.clock.now() + timedelta(seconds=60)).astimezone(UTC), usegmt=True)
    house.slack.script(
        AMER,
        Step(status=429, headers={"Retry-After": "2.5"}),
        Step(status=429, headers={"Retry-After": date}),
    )
    async with house.open() as desk:
        record = await desk.run(house.source(accounts(1)))
        (alert,) = await desk.alerts(record)
    assert (alert.outcome, alert.attempts) == (Outcome.SENT, 3)
    moment = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert record.finished_at is not None
    assert record.finished_at >= moment


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_lost_answer_is_a_doubt_that_the_next_run_holds(house: House, drop: str) -> None:
    """Slack may have it: it is `unknown`, and the replay does not send it again."""
    house.slack.script(AMER, Step.model_validate({"drop": drop}))
    source = house.source(accounts(2))
    async with house.open(slack_concurrency=1) as desk:
        first = await desk.run(source)
        assert (first.counts.unknown, first.counts.alerts_sent) == (1, 1)
        (error,) = first.sample_errors
        assert (error.outcome, error.reason, error.attempts) == (
            Outcome.UNKNOWN,
            Reason.RESPONSE_LOST,
            1,
        )
        before = house.slack.stats().total.requests
        second = await desk.run(source)
        assert (second.counts.unknown, second.counts.skipped_replay) == (1, 1)
        assert warning_codes(second)["undelivered_alerts"] == 1
        assert [error.reason for error in second.sample_errors] == [Reason.RESPONSE_LOST]
    assert house.slack.stats().total.requests == before


async def test_what_is_in_doubt_is_sent_again_when_that_is_the_policy(house: House) -> None:
    """Under AMBIGUOUS_SENDS=resend the next run sends it: a possible duplicate, knowingly."""
    house.slack.script(AMER, Step(drop="after"))
    source = house.source(accounts(1))
    async with house.open() as desk:
        assert (await desk.run(source)).counts.unknown == 1
    async with house.open(ambiguous_sends="resend") as desk:
        assert (await desk.run(source)).counts.alerts_sent == 1
        assert (await desk.run(source)).counts.skipped_replay == 1
    assert list(house.slack.stats().total.duplicates.values()) == [2]


async def test_one_dead_channel_does_not_end_the_others(house: House) -> None:
    """A webhook that Slack has removed fails its own alerts only."""
    rows = accounts(4) + accounts(4, region="EMEA", prefix="e")
    house.slack.script(AMER, Step(status=404, body="channel_not_found", times=4))
    async with house.open(slack_concurrency=1) as desk:
        record = await desk.run(house.source(rows))
    assert (record.counts.failed_deliveries, record.counts.alerts_sent) == (4, 4)
    *rejected, untried = (error.error_message or "" for error in record.sample_errors)
    assert set(rejected) == {"HTTP 404: channel_not_found"}
    assert untried.startswith("the webhook is dead (HTTP 404)")
    assert "all_deliveries_failed" not in warning_codes(record)


async def test_a_pause_beyond_the_deadline_ends_its_lane_at_once(house: House) -> None:
    """An hour's Retry-After leaves the rest unsent in an instant; it holds for the next run, not for ever."""
    rows = accounts(4) + accounts(3, region="EMEA", prefix="e")
    source = house.source(rows)
    house.slack.script(AMER, Step(), Step(status=429, headers={"Retry-After": "3600"}))
    async with house.open(slack_concurrency=1, delivery_deadline_s=600) as desk:
        record = await desk.run(source)
        assert (record.counts.alerts_sent, record.counts.unsent) == (4, 3)
        assert record.finished_at is not None
        assert (record.finished_at - record.started_at).total_seconds() < 600
        left = [alert for alert in await desk.alerts(record) if alert.outcome is Outcome.UNSENT]
        assert {alert.reason for alert in left} == {Reason.DEADLINE}
        assert [alert.attempts for alert in left] == [1, 0, 0]
        assert warning_codes(record)["undelivered_alerts"] == 3
        too_early = await desk.run(source)
        assert (too_early.counts.unsent, house.slack.stats().channels[AMER].requests) == (3, 2)
        house.pauses_over()
        again = await desk.run(source)
    assert (again.counts.alerts_sent, again.counts.skipped_replay) == (3, 4)
    assert house.slack.stats().total.duplicates == {}


async def test_a_run_ends_at_its_deadline(house: House) -> None:
    """What the pace does not let out in time stays pending, most important alerts first."""
    source = house.source(accounts(30))
    async with house.open(slack_messages_per_second=1, delivery_deadline_s=8) as desk:
        record = await desk.run(source)
        sent, unsent = record.counts.alerts_sent, record.counts.unsent
        assert sent + unsent == 30
        assert 1 <= sent <= 9
        assert [who for _, who in arrivals(house.slack)] == [f"a{number:04d}" for number in range(sent)]
        standings = await desk.app.store.recording.standings(record.scope, record.source_uri)
    statuses = [standing.status for standing in standings.values()]
    assert statuses.count(DeliveryStatus.PENDING) == unsent
