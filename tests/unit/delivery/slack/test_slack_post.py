"""One POST that the client library ends with an exception: by when it comes, it becomes a result."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from service.delivery.slack.send_result import InDoubt, Retry, SendResult
from service.domain.delivery_status import Reason
from tests.support.sending import new_sender

URL = "https://hooks.example.com/services/T0/B0/s3cr3tPath"
KEY = ConnectionKey(
    "hooks.example.com", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)


async def post(monkeypatch: pytest.MonkeyPatch, posting: Callable[..., Any]) -> SendResult:
    """Post a message through `posting`, which takes the place of the client's `post`."""
    async with new_sender() as sender:
        monkeypatch.setattr(sender._session, "post", posting)
        return await sender.post(URL, '{"text": "hello"}', timeout_s=5)


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
async def test_what_never_left_is_tried_again(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    """What is raised before the request has begun to leave is no doubt, and the secret URL is not named."""
    assert await post(monkeypatch, Mock(side_effect=problem)) == Retry(
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
async def test_what_may_have_left_is_in_doubt(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    """The same errors after the request has begun to leave: Slack may or may not have it."""
    assert await post(monkeypatch, _writing(AsyncMock(), then=problem)) == InDoubt(
        reason=Reason.RESPONSE_LOST,
        message=f"no complete answer: {type(problem).__name__}",
        unreadable=isinstance(problem, aiohttp.ClientPayloadError),
    )


async def test_a_connection_found_closed_took_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that the server has closed before the first byte leaves no doubt."""
    closed = aiohttp.ClientConnectionResetError("Cannot write to closing transport")
    writer = AsyncMock(write=AsyncMock(side_effect=closed))
    assert isinstance(await post(monkeypatch, _writing(writer)), Retry)


async def test_cancellation_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is stopped hard can stop: cancellation is the one thing that comes through."""
    with pytest.raises(asyncio.CancelledError):
        await post(monkeypatch, Mock(side_effect=asyncio.CancelledError()))


def _writing(writer: AsyncMock, *, then: Exception | None = None) -> Callable[..., Any]:
    """Return the client's `post` over a connection that `writer` stands for."""

    @asynccontextmanager
    async def posting(*_: Any, data: aiohttp.BytesPayload, **__: Any) -> AsyncIterator[None]:
        await data.write_with_length(writer, data.size)
        if then is not None:
            raise then
        yield

    return posting
