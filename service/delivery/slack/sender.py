"""Slack: one POST, to an incoming webhook unless it is a bot's, and what its answer means.

An incoming webhook answers 200 with the body `ok`; its errors are a status and a word such as
`channel_not_found` (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
"""

import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from service.delivery.senders import Senders
from service.delivery.slack.outgoing import OutgoingMessage
from service.delivery.slack.send_result import (
    InDoubt,
    NotPosted,
    RateLimited,
    Rejected,
    Retry,
    SendResult,
    Sent,
)
from service.domain.delivery_status import Reason
from service.runtime.clock import Clock
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.shortage import lacks_resources

IDLE_CONNECTION_S: Final = 1.0
"""Connections idle for longer are not reused: a stale keep-alive would leave a POST in doubt."""
BODY_LIMIT: Final = 64 * 1024
LONGEST_RETRY_AFTER_S: Final = 10.0**9
_WRITTEN_AT_ONCE: Final = 64 * 1024
"""The client waits for the connection to take what is larger."""

_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
_SLACK_ERROR = re.compile(r"[a-z][a-z_]{0,63}", re.ASCII)
_FINAL_REASONS: Final = {
    400: Reason.BAD_REQUEST,
    401: Reason.UNAUTHORIZED,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    408: Reason.REQUEST_TIMEOUT,
    409: Reason.CONFLICT,
    410: Reason.GONE,
    413: Reason.PAYLOAD_TOO_LARGE,
    422: Reason.UNPROCESSABLE,
}


Classify = Callable[[int, bytes, float | None], SendResult]
"""Says what a 2xx means, of its status, its body, and for how long it asks to wait."""


def _by_webhook(status: int, body: bytes, _pause_s: float | None) -> SendResult:
    return classify_success(status, body)


class SlackSender:
    """Makes one POST at a time per call, and classifies the answer; policy is the lane's."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, senders: Senders) -> None:
        self.senders = senders
        """Who may use the connections; whoever posts many messages takes one first."""
        self._session = session
        self._clock = clock
        # A handful: one for each lane.
        self._destinations: dict[str, tuple[URL, str | None]] = {}

    async def send(
        self, message: OutgoingMessage, *, timeout_s: float, may_leave: Callable[[], bool]
    ) -> SendResult:
        """POST a message to its webhook and say what came of it; only cancellation is ever raised."""
        return await self.post(message.url, message.payload, timeout_s=timeout_s, may_leave=may_leave)

    async def post(
        self,
        url: str,
        payload: str,
        *,
        timeout_s: float,
        may_leave: Callable[[], bool] = lambda: True,
        token: str | None = None,
        classify: Classify = _by_webhook,
    ) -> SendResult:
        """POST the JSON text `payload` and say what came of it; only cancellation is ever raised.

        `may_leave` is asked as late as can be: when the connection is there and the first byte is about to be
        written. The result never carries the URL or the bot's `token`: they are secrets.
        """
        if not may_leave():
            return NotPosted()
        message = _Message(payload, may_leave)
        try:
            destination, proxy = self._destination(url)
            async with self._session.post(
                destination,
                data=message,
                headers=_bearer(token),
                proxy=proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                return await self._classify_answer(response, classify)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            return _classify_error(problem, message)

    async def ask(
        self, url: str, form: Mapping[str, str], *, token: str, timeout_s: float, longest_body: int
    ) -> tuple[int, bytes, str | None]:
        """POST a form that changes nothing, and return the status, the body and the Retry-After.

        Raises aiohttp.ClientError, TimeoutError, OSError, and ValueError for an impossible URL.
        """
        destination, proxy = self._destination(url)
        async with self._session.post(
            destination,
            data=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded", **_bearer(token)},
            proxy=proxy,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        ) as response:
            body = await _body(response, longest=longest_body)
            return response.status, body, response.headers.get("Retry-After")

    async def answer(self, url: str, body: bytes, *, timeout_s: float) -> int:
        """POST JSON to a URL that is good for a few answers; return the status, or raise as `ask` does."""
        async with self._session.post(
            URL(url),
            data=body,
            headers={"Content-Type": "application/json"},
            proxy=_proxy_for(url),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        ) as response:
            return response.status

    async def _classify_answer(self, response: aiohttp.ClientResponse, classify: Classify) -> SendResult:
        retry_after = response.headers.get("Retry-After")
        if 200 <= response.status < 300:  # noqa: PLR2004  # the class of success
            body = await _body(response)
            return classify(response.status, body, usable_retry_after(retry_after, now=self._clock.now()))
        text = await _error_body(response)
        return classify_failure(response.status, text, retry_after=retry_after, now=self._clock.now())

    def _destination(self, url: str) -> tuple[URL, str | None]:
        """Return a URL, parsed, and its proxy; remembered, since nothing of it changes."""
        known = self._destinations.get(url)
        if known is None:
            known = self._destinations[url] = URL(url), _proxy_for(url)
        return known


class _Message(aiohttp.BytesPayload):
    """A request's body, which the client writes in one piece with the headers, and only here."""

    def __init__(self, payload: str, may_leave: Callable[[], bool]) -> None:
        super().__init__(payload.encode())
        self._may_leave = may_leave
        self.has_left = False
        self.is_held_back = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write headers and body, or, where the message may not leave any more, nothing."""
        if not self._may_leave():
            self.is_held_back = True
            raise ValueError("the message may not leave any more")
        self.has_left = True
        try:
            await super().write_with_length(writer, content_length)
        except aiohttp.ClientConnectionResetError:
            # The connection was found closed, and nothing written, unless a large body was under way.
            self.has_left = (self.size or 0) > _WRITTEN_AT_ONCE
            raise


@asynccontextmanager
async def open_slack(*, concurrency: int, auth_token: str | None, clock: Clock) -> AsyncIterator[SlackSender]:
    """Open this process's connections; proxy and certificate variables of the environment are honoured."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if auth_token is not None:
        headers["X-Mock-Slack-Token"] = auth_token
    # Reading the system's certificates takes its time.
    trusted = await run_in_daemon_thread(ssl.create_default_context)
    connector = aiohttp.TCPConnector(limit=concurrency, keepalive_timeout=IDLE_CONNECTION_S, ssl=trusted)
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        # The proxy is looked up here: aiohttp would ask the environment anew for every message, in a thread,
        # and would send what ~/.netrc holds along.
        trust_env=False,
    ) as session:
        yield SlackSender(session, clock, Senders(concurrency))


def _classify_error(problem: Exception, message: _Message) -> SendResult:
    """Say what it means that there is no answer."""
    name = type(problem).__name__
    if message.has_left:
        return InDoubt(
            reason=Reason.RESPONSE_LOST,
            message=f"no complete answer: {name}",
            unreadable=isinstance(problem, aiohttp.ClientPayloadError | aiohttp.ClientResponseError),
        )
    if message.is_held_back:
        return NotPosted()
    if lacks_resources(problem):
        return NotPosted(reason=Reason.LOCAL_RESOURCES)
    return Retry(reason=Reason.SLACK_UNREACHABLE, message=f"no connection: {name}")


def classify_success(status: int, body: bytes) -> SendResult:
    """Say whether a 2xx is a delivery: only with an empty body, `ok`, or JSON that reports no error."""
    # A body beyond the limit was not read to its end: nobody knows what it says.
    text = body.decode("utf-8", "replace").strip() if len(body) <= BODY_LIMIT else "body_too_long"
    if text in {"", "ok"}:
        return Sent(http_status=status)
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):  # nested without end
        answer = None
    if isinstance(answer, dict) and answer.get("ok") is not False and not answer.get("error"):
        return Sent(http_status=status)
    error = answer.get("error") if isinstance(answer, dict) else text
    return Rejected(
        reason=Reason.UNEXPECTED_BODY,
        message=f"HTTP {status}, but not taken{_named(error)}",
        http_status=status,
    )


def classify_failure(status: int, body: str, *, retry_after: str | None, now: datetime) -> SendResult:
    """Say what an answer outside 2xx means for the alert."""
    message = f"HTTP {status}{_named(body.strip())}"
    if status == 429:  # noqa: PLR2004  # Too Many Requests
        pause = usable_retry_after(retry_after, now=now)
        if pause is not None:
            return RateLimited(retry_after_s=pause)
        return Retry(reason=Reason.RATE_LIMITED, message=message, http_status=status)
    match status // 100:
        case 5:
            return Retry(reason=Reason.SERVER_ERROR, message=message, http_status=status)
        case 4:
            reason = _FINAL_REASONS.get(status, Reason.CLIENT_ERROR)
        case 3:
            reason = Reason.REDIRECTED
        case _:
            reason = Reason.UNEXPECTED_STATUS
    return Rejected(reason=reason, message=message, http_status=status)


def usable_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds to wait, or None where the header names no time in the future.

    Seconds (also a fraction) or an HTTP date, as RFC 9110 section 10.2.3 has it.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # garbage; a year that no calendar holds
            return None
        if moment.tzinfo is None:  # "-0000": RFC 5322's way to say UTC
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return min(seconds, LONGEST_RETRY_AFTER_S) if seconds > 0 else None


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _proxy_for(url: str) -> str | None:
    """Return the proxy that the environment's variables name for a URL (`HTTPS_PROXY`, `NO_PROXY`, …)."""
    parts = urlsplit(url)
    if parts.hostname is not None and proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


async def _body(response: aiohttp.ClientResponse, *, longest: int = BODY_LIMIT) -> bytes:
    """Read the whole body, or as much as says that it is none of Slack's."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > longest:
            break
    return body


async def _error_body(response: aiohttp.ClientResponse) -> str:
    """Read the body of a failure; the status alone decides, so a broken body does no harm."""
    try:
        return (await _body(response)).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError, OSError):
        return ""


def _named(error: object) -> str:
    """Repeat Slack's word for an error; anything else might echo the secret URL and is left out."""
    return f": {error}" if isinstance(error, str) and _SLACK_ERROR.fullmatch(error) else ""
