"""The mock as a real server: connections that break, hang and hold."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import aiohttp
import orjson
import pytest
from pydantic import ValidationError

from mock_slack.running import RunningMock, running_mock
from mock_slack.script import Step
from tests.mock_slack.harness import alert


@pytest.fixture(scope="module", params=["h11", "httptools"])
def server(request: pytest.FixtureRequest) -> Iterator[RunningMock]:
    """Return one running mock per HTTP implementation for the tests of this file to share."""
    with running_mock(http=request.param) as mock:
        yield mock


@pytest.fixture
def mock(server: RunningMock, caplog: pytest.LogCaptureFixture) -> Iterator[RunningMock]:
    """Return the running mock, reset; whatever its clients do, it logs no error."""
    server.reset()
    yield server
    assert [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Return an HTTP client like the service's."""
    async with aiohttp.ClientSession() as session:
        yield session


async def _post(session: aiohttp.ClientSession, mock: RunningMock, timeout_s: float = 5) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    url = f"{mock.webhook_base_url}/amer"
    async with session.post(url, data=orjson.dumps(alert("a")), timeout=timeout) as response:
        return response.status, await response.text()


async def test_a_drop_before_leaves_no_trace(mock: RunningMock, session: aiohttp.ClientSession) -> None:
    """The connection closes without a byte, nothing is recorded, the next request is served."""
    assert await _post(session, mock) == (200, "ok")
    mock.script("amer", Step(drop="before"))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await _post(session, mock)
    assert len(mock.records()) == 1
    assert await _post(session, mock) == (200, "ok")
    total = mock.stats().total
    assert (total.requests, total.accepted, total.dropped_before, total.dropped_after) == (3, 2, 1, 0)


async def test_a_drop_after_is_accepted_without_an_answer(
    mock: RunningMock, session: aiohttp.ClientSession
) -> None:
    """Slack has the message, the client cannot know: sending it again makes a duplicate."""
    mock.script("amer", Step(drop="after"), Step(status=429, headers={"Retry-After": "60"}, drop="after"))
    for _ in range(2):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await _post(session, mock)
    assert [(record.status_code, record.dropped) for record in mock.records()] == [
        (200, "after"),
        (429, "after"),
    ]
    assert await _post(session, mock) == (200, "ok")
    total = mock.stats().total
    assert (total.accepted, total.dropped_after, total.duplicates) == (2, 2, {"a": 2})
    assert total.requests_inside_retry_after == 0, "a promise that nobody heard binds nobody"


async def test_a_client_that_gives_up_waiting_has_been_accepted(
    mock: RunningMock, session: aiohttp.ClientSession
) -> None:
    """A hang is decided and recorded on arrival, and ends when the client leaves."""
    mock.script("amer", Step(delay_s=3600))
    with pytest.raises(TimeoutError):
        await _post(session, mock, timeout_s=0.05)
    assert mock.stats().total.accepted == 1
    assert await _post(session, mock) == (200, "ok")


async def test_open_requests_are_counted(mock: RunningMock, session: aiohttp.ClientSession) -> None:
    """Three requests at once are three, however they end."""
    mock.script("amer", Step(delay_s=0.05, times=3))
    await asyncio.gather(*(_post(session, mock) for _ in range(3)))
    await _post(session, mock)
    assert mock.stats().channels["amer"].max_concurrent_requests == 3


async def test_a_client_that_leaves_in_mid_request_does_no_harm(mock: RunningMock) -> None:
    """Half a message is neither recorded nor an error."""
    host, port = mock.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /hooks/amer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert mock.records() == []
    assert mock.health()["ok"] is True


async def test_stopping_does_not_wait_for_a_hung_request(session: aiohttp.ClientSession) -> None:
    """The mock ends with its block, and so does the request it kept waiting."""
    with running_mock() as mock:
        mock.script("amer", Step(delay_s=3600))
        hung = asyncio.create_task(_post(session, mock))
        async with asyncio.timeout(5):
            while not mock.stats().total.requests:  # noqa: ASYNC110  the event is in the mock's thread
                await asyncio.sleep(0)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await hung


def test_the_client_says_what_the_mock_refused(mock: RunningMock) -> None:
    """A wrong call is an error with the mock's words."""
    with pytest.raises(RuntimeError, match="less than or equal to 100000"):
        mock.records(limit=10**6)
    mock.script("größe?", Step(times=2))
    assert mock.waiting() == {"größe?": 2}


async def test_a_header_of_any_bytes_arrives(mock: RunningMock, session: aiohttp.ClientSession) -> None:
    """What is not ASCII goes over the wire as Latin-1, as HTTP has it."""
    mock.script("amer", Step(status=429, headers={"Retry-After": "später"}))
    async with session.post(f"{mock.url}/hooks/amer", json={"text": "x"}) as response:
        assert dict(response.raw_headers)[b"retry-after"] == "später".encode("latin-1")


def test_wrong_settings_are_refused_before_anything_starts() -> None:
    """A mistyped setting of a test is an error, not silently ignored."""
    with pytest.raises(ValidationError), running_mock(fail_rate=0.5):
        pass
