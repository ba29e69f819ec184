"""The sender over real HTTP, before a mock that answers as it is told."""

import asyncio

import orjson
import pytest

from mock_slack.running import RunningMock, running_mock
from mock_slack.script import Step
from service.delivery.slack.send_result import InDoubt, RateLimited, Rejected, Retry, SendResult, Sent
from service.delivery.slack.sender import SlackSender
from service.domain.delivery_status import Reason
from tests.support.alerts import an_alert, rendered
from tests.support.sending import new_sender

CHANNEL = "amer-risk-alerts"
PAYLOAD = orjson.dumps(rendered(an_alert(), details_base_url="https://app.example.com")).decode()


async def post(
    sender: SlackSender, slack: RunningMock, *steps: Step, channel: str = CHANNEL, timeout_s: float = 10
) -> SendResult:
    """Post the message once, with `steps` laid down before."""
    if steps:
        slack.script(channel, *steps)
    return await sender.post(f"{slack.webhook_base_url}/{channel}", PAYLOAD, timeout_s=timeout_s)


async def test_a_message_arrives_as_it_was_rendered(sender: SlackSender, slack: RunningMock) -> None:
    """What Slack gets is the payload that a preview shows, and one POST is one request."""
    assert await post(sender, slack) == Sent(http_status=200)
    (record,) = slack.records()
    assert record.channel == CHANNEL
    assert record.payload == orjson.loads(PAYLOAD)


async def test_every_status_has_its_result(sender: SlackSender, slack: RunningMock) -> None:
    """From 200 to 599 each answer is classified as the specification says, after exactly one request."""
    statuses = range(200, 600)
    slack.script(CHANNEL, *(Step(status=status) for status in statuses))
    for status in statuses:
        result = await post(sender, slack)
        if status < 300:
            assert result == Sent(http_status=status)
        elif status == 429 or status >= 500:
            assert isinstance(result, Retry), status
            assert result.reason is (Reason.RATE_LIMITED if status == 429 else Reason.SERVER_ERROR)
            assert result.http_status == status
        else:
            assert isinstance(result, Rejected), status
            assert (result.reason is Reason.REDIRECTED) == (status < 400)
            assert result.http_status == status
    assert slack.stats().total.requests == len(statuses)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(sender: SlackSender, slack: RunningMock, status: int) -> None:
    """The message goes nowhere but where it was sent, and the redirect is a failure."""
    elsewhere = f"{slack.webhook_base_url}/elsewhere"
    result = await post(sender, slack, Step(status=status, headers={"Location": elsewhere}))
    assert isinstance(result, Rejected)
    assert (result.reason, result.http_status) == (Reason.REDIRECTED, status)
    assert set(slack.stats().channels) == {CHANNEL}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("1", 1.0),
        ("0.05", 0.05),
        ("3600", 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
        *((header, None) for header in (None, "-1", "0", "NaN", "inf", "soon", "", "\xb2")),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
    ],
)
async def test_a_rate_limit_names_a_time_or_backs_off(
    sender: SlackSender, slack: RunningMock, header: str | None, expected: float | None
) -> None:
    """A 429's Retry-After is read from the wire as it stands there; without one a retry is spent."""
    headers = {} if header is None else {"Retry-After": header}
    result = await post(sender, slack, Step(status=429, headers=headers))
    if expected is None:
        assert result == Retry(reason=Reason.RATE_LIMITED, message="HTTP 429", http_status=429)
    else:
        assert result == RateLimited(retry_after_s=expected)


@pytest.mark.parametrize(
    ("step", "delivered"),
    [
        (Step(body="ok"), True),
        (Step(body=""), True),
        (Step(body="ok\n"), True),
        (Step(body={"ok": True}), True),
        (Step(status=201, body={}), True),
        (Step(body="invalid_token"), False),
        (Step(body={"ok": False, "error": "invalid_auth"}), False),
        (Step(body="<html>Please log in</html>"), False),
        (Step(body=" " * 100_000), False),
        (Step(body="x" * 1_000_000), False),
        (Step(body="[" * 60_000), False),
    ],
    ids=lambda it: repr(it)[:40],
)
async def test_a_success_must_say_so(
    sender: SlackSender, slack: RunningMock, step: Step, *, delivered: bool
) -> None:
    """A 2xx with another body than Slack's is no delivery."""
    result = await post(sender, slack, step)
    if delivered:
        assert result == Sent(http_status=step.status)
    else:
        assert isinstance(result, Rejected)
        assert result.reason is Reason.UNEXPECTED_BODY


async def test_slacks_word_comes_through(sender: SlackSender, slack: RunningMock) -> None:
    """The reason that Slack gives stands in the message: here of a payload that it really refuses."""
    result = await sender.post(f"{slack.webhook_base_url}/{CHANNEL}", "{}", timeout_s=10)
    assert result == Rejected(reason=Reason.BAD_REQUEST, message="HTTP 400: no_text", http_status=400)


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_dropped_connection_is_in_doubt(sender: SlackSender, slack: RunningMock, drop: str) -> None:
    """Whether Slack recorded the message before the connection broke cannot be known from here."""
    result = await post(sender, slack, Step.model_validate({"drop": drop}))
    assert isinstance(result, InDoubt)
    assert result.reason is Reason.RESPONSE_LOST
    assert slack.stats().total.accepted == (drop == "after")


async def test_a_slow_answer_is_in_doubt(sender: SlackSender, slack: RunningMock) -> None:
    """When the timeout comes first the message may have been taken all the same."""
    result = await post(sender, slack, Step(delay_s=30), timeout_s=0.5)
    assert isinstance(result, InDoubt)
    assert result.message == "no complete answer: TimeoutError"


async def test_a_lost_answer_leaves_the_sender_whole(sender: SlackSender, slack: RunningMock) -> None:
    """After drops and timeouts the next message goes out as ever."""
    await post(sender, slack, Step(drop="after"))
    await post(sender, slack, Step(delay_s=30), timeout_s=0.05)
    assert await post(sender, slack) == Sent(http_status=200)


async def test_no_more_connections_than_senders(slack: RunningMock) -> None:
    """However many ask at once, the connections stay within the concurrency, and all are answered."""
    slack.script(CHANNEL, Step(delay_s=0.01, times=20))
    async with new_sender(concurrency=3) as sender:
        results = await asyncio.gather(*(post(sender, slack) for _ in range(20)))
    assert results == [Sent(http_status=200)] * 20
    assert slack.stats().total.max_concurrent_requests == 3


async def test_the_token_is_sent_only_when_there_is_one() -> None:
    """A mock that asks for a token gets it, and refuses a sender that has none."""
    with running_mock(auth_token="t0ken") as slack:
        async with new_sender(auth_token="t0ken") as sender:
            assert await post(sender, slack) == Sent(http_status=200)
        async with new_sender() as sender:
            result = await post(sender, slack)
    assert isinstance(result, Rejected)
    assert result.reason in {Reason.UNAUTHORIZED, Reason.FORBIDDEN}
