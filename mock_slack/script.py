"""The script: answers that a test has laid down in advance for a channel's next requests."""

import re
from collections import defaultdict, deque
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mock_slack.answer import Answer, Drop

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# These frame the message. Sent wrongly they would break the mock's own connection; use `drop` for that.
_FRAMING = {"content-length", "transfer-encoding"}
# HTTP allows these no body.
_BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED}


class Step(BaseModel):
    """One line of a script: an answer, and how many requests get it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: int = Field(200, ge=200, le=599)
    body: str | dict[str, Any] | None = Field(
        None, description="Text, or an object sent as JSON; unset: `ok` for a 2xx, else nothing."
    )
    headers: dict[str, str] = Field({}, description="Sent as they are, however wrong: Retry-After: NaN.")
    delay_s: float = Field(0.0, ge=0, allow_inf_nan=False, description="Seconds to wait before answering.")
    drop: Drop | None = Field(
        None, description="Close the connection unanswered, before or after recording the request."
    )
    posted: bool = Field(
        False,  # noqa: FBT003  pydantic's way
        description="Web API: the message is in the channel all the same, whatever is answered.",
    )
    times: int = Field(1, ge=1, le=1_000_000, description="How many requests in a row get this answer.")

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"not a header that HTTP can carry: {name!r}")
            if name.lower() in _FRAMING:
                raise ValueError(f"{name} cannot be scripted; use drop to break the connection")
        return {name.lower(): value.strip() for name, value in headers.items()}

    def answer(self) -> Answer:
        """Return the answer this step describes."""
        return Answer(
            status=self.status,
            body=self._body(),
            media_type="application/json" if isinstance(self.body, dict) else "text/plain",
            headers=self.headers,
            delay_s=self.delay_s,
            drop=self.drop,
            posted=self.posted,
        )

    def _body(self) -> bytes:
        if self.status in _BODILESS:
            return b""
        if isinstance(self.body, dict):
            return orjson.dumps(self.body)
        if self.body is None:
            return b"ok" if self.status < HTTPStatus.MULTIPLE_CHOICES else b""
        return self.body.encode()


Steps = Annotated[list[Step], Field(min_length=1)]


class Script:
    """The answers still waiting, per channel, first in first out."""

    def __init__(self) -> None:
        # Each entry is [answer, how many requests still get it].
        self._lines: defaultdict[str, deque[tuple[Answer, int]]] = defaultdict(deque)

    def add(self, channel: str, steps: Iterable[Step]) -> None:
        """Append `steps` to what the channel's next requests are answered."""
        self._lines[channel].extend((step.answer(), step.times) for step in steps)

    def next(self, channel: str) -> Answer | None:
        """Take the channel's next scripted answer, or None when its script has run out."""
        line = self._lines.get(channel)
        if not line:
            return None
        answer, times = line.popleft()
        if times > 1:
            line.appendleft((answer, times - 1))
        return answer

    def waiting(self) -> dict[str, int]:
        """Return how many answers are left to give, per channel that has any."""
        return {channel: sum(times for _, times in line) for channel, line in self._lines.items() if line}

    def clear(self, channel: str | None = None) -> None:
        """Forget the script of one channel, or of all."""
        if channel is None:
            self._lines.clear()
        else:
            self._lines.pop(channel, None)
