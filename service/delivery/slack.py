"""Slack: one POST to an incoming webhook, and what its answer means.

An incoming webhook answers 200 with the body `ok`; its errors are a status and a word such as
`channel_not_found` (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
"""

import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from service.delivery.send_result import InDoubt, RateLimited, Rejected, Retry, SendResult, Sent
from service.domain.delivery_status import Reason
from service.runtime.clock import Clock

IDLE_CONNECTION_S: Final = 1.0
"""Connections idle for longer are not reused: a stale keep-alive would leave a POST in doubt."""
BODY_LIMIT: Final = 64 * 1024
LONGEST_RETRY_AFTER_S: Final = 10.0**9

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


class SlackSender:
    """Makes one POST at a time per call, and classifies the answer; policy is the lane's."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        # A handful: one for each lane.
        self._destinations: dict[str, tuple[URL, str | None]] = {}

    async def post(self, url: str, payload: str, *, timeout_s: float) -> SendResult:
        """POST the JSON text `payload` and say what came of it; only cancellation is ever raised.

        The result never carries the URL: it is a secret.
        """
        trace = SimpleNamespace(left=False)
        try:
            destination, proxy = self._destination(url)
            async with self._session.post(
                destination,
                data=payload.encode(),
                proxy=proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                trace_request_ctx=trace,
            ) as response:
                if 200 <= response.status < 300:  # noqa: PLR2004  # the class of success
                    return classify_success(response.status, await _body(response))
                return classify_failure(
                    response.status,
                    await _error_body(response),
                    retry_after=response.headers.get("Retry-After"),
                    now=self._clock.now(),
                )
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as problem:
            return Retry(reason=Reason.SLACK_UNREACHABLE, message=f"no connection: {type(problem).__name__}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            if not trace.left:
                what = f"no connection: {type(problem).__name__}"
                return Retry(reason=Reason.SLACK_UNREACHABLE, message=what)
            what = f"no complete answer: {type(problem).__name__}"
            return InDoubt(reason=Reason.RESPONSE_LOST, message=what)

    def _destination(self, url: str) -> tuple[URL, str | None]:
        """Return a URL, parsed, and its proxy; remembered, since nothing of it changes."""
        known = self._destinations.get(url)
        if known is None:
            known = self._destinations[url] = URL(url), _proxy_for(url)
        return known


@asynccontextmanager
async def open_slack(*, concurrency: int, auth_token: str | None, clock: Clock) -> AsyncIterator[SlackSender]:
    """Open this process's connections; proxy and certificate variables of the environment are honoured."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_that_it_left)
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if auth_token is not None:
        headers["X-Mock-Slack-Token"] = auth_token
    connector = aiohttp.TCPConnector(
        limit=concurrency, keepalive_timeout=IDLE_CONNECTION_S, ssl=ssl.create_default_context()
    )
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        # The proxy is looked up here: aiohttp would ask the environment anew for every message, in a thread,
        # and would send what ~/.netrc holds along.
        trust_env=False,
        trace_configs=[trace],
    ) as session:
        yield SlackSender(session, clock)


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


def _proxy_for(url: str) -> str | None:
    """Return the proxy that the environment's variables name for a URL (`HTTPS_PROXY`, `NO_PROXY`, …)."""
    parts = urlsplit(url)
    if parts.hostname is not None and proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


async def _note_that_it_left(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.left = True


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Read the whole body, or as much as says that it is none of Slack's."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_LIMIT:
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
