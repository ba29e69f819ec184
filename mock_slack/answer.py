"""An answer: everything the mock does in response to one request."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import orjson

Drop = Literal["before", "after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; the default is Slack's `200 ok`."""

    status: int = 200
    body: bytes = b"ok"
    media_type: str = "text/plain"
    # Names in lower case.
    headers: Mapping[str, str] = field(default_factory=dict)
    # Seconds between deciding (and recording) the answer and sending it.
    delay_s: float = 0.0
    # Close the connection without a byte of answer: before recording the request, or after.
    drop: Drop | None = None
    # Why a message was refused, for a person: Slack itself says only `invalid_blocks`.
    reason: str | None = None
    # Whether a scripted message is in the channel whatever is answered.
    posted: bool = False

    @property
    def accepted(self) -> bool:
        """Whether Slack has posted the message: a 2xx that reports no error in its body."""
        if self.posted:
            return True
        if not 200 <= self.status < 300:  # noqa: PLR2004  the range is the definition of success
            return False
        if self.body in {b"", b"ok"}:
            return True
        try:
            said = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return False
        return isinstance(said, dict) and said.get("ok") is not False and "error" not in said

    @property
    def is_plain(self) -> bool:
        """Whether it says nothing but `ok`, and leaves to the Web API's methods what they answer."""
        return self.status == 200 and self.body == b"ok" and not self.headers  # noqa: PLR2004

    @property
    def retry_after(self) -> float | str | None:
        """The Retry-After header as a number when it is one, else its text; None when absent."""
        text = self.headers.get("retry-after")
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            return text
        if not math.isfinite(number):
            # JSON has neither NaN nor infinity.
            return text
        return int(number) if number.is_integer() else number

    def pause_s(self) -> float | None:
        """Return the seconds a well-behaved client waits after this answer, from now.

        None unless this is a 429 with a usable Retry-After: a positive number of seconds, or an HTTP date to
        come.
        """
        if self.status != 429:  # noqa: PLR2004  Too Many Requests
            return None
        value = self.retry_after
        if isinstance(value, str):
            try:
                until = parsedate_to_datetime(value)
            except ValueError:
                return None
            value = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        return value if value is not None and value > 0 else None


OK = Answer()
# Slack's name for a 500 "likely not your fault at all".
ROLLUP_ERROR = Answer(status=500, body=b"rollup_error")


def refused(status: int, error: str, *, reason: str | None = None) -> Answer:
    """Return Slack's plain-text refusal, such as 400 `no_text`."""
    return Answer(status=status, body=error.encode(), reason=reason)


def rate_limited(seconds: float, *, error: str = "rate_limited") -> Answer:
    """Return a 429 asking for a pause of `seconds`, whole numbers written as Slack does, without a point.

    `error` is Slack's word, which its webhooks and its Web API spell differently.
    """
    text = str(int(seconds)) if seconds == int(seconds) else f"{seconds:.6f}".rstrip("0")
    body = b'{"retry_after":%s,"ok":false,"error":"%s"}' % (text.encode(), error.encode())
    return Answer(status=429, body=body, media_type="application/json", headers={"retry-after": text})
