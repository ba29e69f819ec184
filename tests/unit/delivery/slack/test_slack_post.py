"""One POST, with the network taken away: what the client library raises becomes a result."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aioresponses import aioresponses

from service.delivery.slack.send_result import InDoubt, RateLimited, Rejected, Retry, SendResult, Sent
from service.delivery.slack.sender import SlackSender, open_slack
from service.domain.delivery_status import Reason
from service.runtime.clock import SystemClock

URL = "https://hooks.example.com/services/T0/B0/s3cr3tPath"
KEY = ConnectionKey(
    "hooks.example.com", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)


@pytest.fixture(name="slack")
def answers_without_a_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """Take the place of the network; aioresponses does not know an argument that aiohttp 3.14 wants."""
    original: Callable[..., None] = aiohttp.ClientResponse.__init__

    def with_writer(self: aiohttp.ClientResponse, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        original(self, *args, **kwargs)

    monkeypatch.setattr(aiohttp.ClientResponse, "__init__", with_writer)
    with aioresponses() as mocked:
        yield mocked


@pytest.fixture(name="sender")
async def a_sender() -> AsyncIterator[SlackSender]:
    """Open a sender as the app does."""
    async with open_slack(concurrency=2, auth_token="t0ken", clock=SystemClock()) as sender:
        yield sender


async def post(sender: SlackSender) -> SendResult:
    """Post a message."""
    return await sender.post(URL, '{"text": "hello"}', timeout_s=5)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 200, "body": "ok"}, Sent(http_status=200)),
        ({"status": 204}, Sent(http_status=204)),
        ({"status": 429, "headers": {"Retry-After": "2.5"}}, RateLimited(retry_after_s=2.5)),
        (
            {"status": 429, "headers": {"Retry-After": "soon"}},
            Retry(reason=Reason.RATE_LIMITED, message="HTTP 429", http_status=429),
        ),
        (
            {"status": 503, "body": "upstream"},
            Retry(reason=Reason.SERVER_ERROR, message="HTTP 503: upstream", http_status=503),
        ),
        (
            {"status": 404, "body": "channel_not_found"},
            Rejected(reason=Reason.NOT_FOUND, message="HTTP 404: channel_not_found", http_status=404),
        ),
        (
            {"status": 302, "headers": {"Location": "https://login.example.com"}},
            Rejected(reason=Reason.REDIRECTED, message="HTTP 302", http_status=302),
        ),
    ],
)
async def test_answers_become_results(
    slack: aioresponses, sender: SlackSender, answer: dict[str, Any], expected: SendResult
) -> None:
    """Status, body and Retry-After of the one answer make the result; nothing is asked twice."""
    slack.post(URL, **answer)
    assert await post(sender) == expected
    assert sum(len(calls) for calls in slack.requests.values()) == 1


@pytest.mark.parametrize(
    "problem",
    [
        aiohttp.ClientConnectorError(KEY, OSError(111, URL)),
        aiohttp.ClientConnectorDNSError(KEY, OSError(-2, URL)),
        aiohttp.ClientConnectorSSLError(KEY, OSError(1, URL)),
        aiohttp.ClientProxyConnectionError(KEY, OSError(111, URL)),
        aiohttp.ConnectionTimeoutError(URL),
        aiohttp.InvalidURL(URL),
        aiohttp.ServerDisconnectedError(URL),
        TimeoutError(URL),
        ConnectionResetError(URL),
        ValueError(URL),
    ],
    ids=lambda problem: type(problem).__name__,
)
async def test_what_never_left_is_tried_again(
    slack: aioresponses, sender: SlackSender, problem: Exception
) -> None:
    """What is raised before the request has begun to leave is no doubt, and the secret URL is not named."""
    slack.post(URL, exception=problem)
    assert await post(sender) == Retry(
        reason=Reason.SLACK_UNREACHABLE, message=f"no connection: {type(problem).__name__}"
    )


@pytest.mark.parametrize(
    "problem",
    [
        aiohttp.ServerDisconnectedError(URL),
        aiohttp.ClientPayloadError(URL),
        aiohttp.ClientOSError(104, URL),
        aiohttp.SocketTimeoutError(URL),
        TimeoutError(URL),
        ConnectionResetError(URL),
    ],
    ids=lambda problem: type(problem).__name__,
)
async def test_what_may_have_left_is_in_doubt(
    sender: SlackSender, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same errors after the request has begun to leave: Slack may or may not have it."""
    monkeypatch.setattr(sender._session, "post", _writing(AsyncMock(), then=problem))
    assert await post(sender) == InDoubt(
        reason=Reason.RESPONSE_LOST,
        message=f"no complete answer: {type(problem).__name__}",
        unreadable=isinstance(problem, aiohttp.ClientPayloadError),
    )


async def test_a_connection_found_closed_took_nothing(
    sender: SlackSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that the server has closed before the first byte leaves no doubt."""
    closed = aiohttp.ClientConnectionResetError("Cannot write to closing transport")
    monkeypatch.setattr(sender._session, "post", _writing(AsyncMock(write=AsyncMock(side_effect=closed))))
    assert isinstance(await post(sender), Retry)


def _writing(writer: AsyncMock, *, then: Exception | None = None) -> Callable[..., Any]:
    """Return the client's `post` over a connection that `writer` stands for."""

    @asynccontextmanager
    async def posting(*_: Any, data: aiohttp.BytesPayload, **__: Any) -> AsyncIterator[None]:
        await data.write_with_length(writer, data.size)
        if then is not None:
            raise then
        yield

    return posting


async def test_cancellation_is_not_swallowed(slack: aioresponses, sender: SlackSender) -> None:
    """A process that is stopped hard can stop: cancellation is the one thing that comes through."""
    slack.post(URL, exception=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await post(sender)


async def test_what_is_posted(slack: aioresponses, sender: SlackSender) -> None:
    """The body is the given JSON text in UTF-8, and redirects are not followed."""
    slack.post(URL, status=200)
    await sender.post(URL, '{"text": "é"}', timeout_s=5)
    (((method, url), (call,)),) = slack.requests.items()
    assert (method, str(url)) == ("POST", URL)
    assert call.kwargs["data"].decode() == '{"text": "é"}'
    assert call.kwargs["allow_redirects"] is False
