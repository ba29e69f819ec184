"""Slack's Web API: one call of a method, and what Slack says to it.

Methods answer HTTP 200 with `ok`, and errors are words (docs.slack.dev/apis/web-api).
"""

import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from service.delivery.slack.answer import NO_ANSWER, WebApiError, error_of, needed_of, read_answer
from service.delivery.slack.sender import SlackSender, usable_retry_after
from service.runtime.clock import Clock

LONGEST_BODY: Final = 8 * 1024 * 1024
"""A page of 200 messages, each as long as Slack lets it be, is a few megabytes."""
UNNAMED_PAUSE_S: Final = 30.0
"""How long a limit lasts that names no time."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WebApi:
    """Calls methods with one token, a secret; `url` is Slack's, or a mock's."""

    slack: SlackSender
    url: str
    token: str
    clock: Clock
    timeout_s: float

    async def call(
        self, method: str, *, patient_until: float = -math.inf, **arguments: str
    ) -> dict[str, Any]:
        """Call a method and return what it says; raises WebApiError where that is no `ok`.

        A pause that Slack asks for is waited out where it ends before `patient_until`, in monotonic seconds.
        """
        while True:
            try:
                return await self._call(method, arguments)
            except WebApiError as refused:
                pause_s = refused.retry_after_s
                if pause_s is None or self.clock.monotonic() + pause_s > patient_until:
                    raise
            await self.clock.sleep(pause_s)

    async def _call(self, method: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        try:
            status, body, retry_after = await self.slack.ask(
                f"{self.url}/{method}",
                arguments,
                token=self.token,
                timeout_s=self.timeout_s,
                longest_body=LONGEST_BODY,
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            raise WebApiError(NO_ANSWER, needed=type(problem).__name__) from None
        answer = read_answer(body)
        word = "ratelimited" if status == 429 else error_of(answer)  # noqa: PLR2004  # Too Many Requests
        if word in {"ratelimited", "rate_limited"}:
            pause_s = usable_retry_after(retry_after, now=self.clock.now())
            raise WebApiError("ratelimited", retry_after_s=pause_s or UNNAMED_PAUSE_S)
        if answer is None or word is not None or answer.get("ok") is not True:
            raise WebApiError(word or f"http_{status}", needed=needed_of(answer))
        return answer

    async def pages(
        self, method: str, *, patient_until: float = -math.inf, **arguments: str
    ) -> AsyncIterator[dict[str, Any]]:
        """Call a method for one page after the other, to the last, as `call` does; raises WebApiError."""
        cursor = ""
        while True:
            given = arguments | ({"cursor": cursor} if cursor else {})
            page = await self.call(method, patient_until=patient_until, **given)
            yield page
            metadata = page.get("response_metadata")
            following = (metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""
            if not isinstance(following, str) or following in {"", cursor}:
                if page.get("has_more") is True:  # what was not read must not be taken for what is not there
                    raise WebApiError("no_next_cursor")
                return
            cursor = following
