"""A message: one request's body, read and checked as Slack does it."""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qs

import orjson

from mock_slack.answer import Answer, refused
from mock_slack.blocks import why_invalid

# Slack's limit, answered with an error of its own.
MAX_ATTACHMENTS = 100
_ALERT_BLOCK = re.compile(r"(?:risk_alert\.|[a-z_]+\.(?=[0-9a-f]{32}$))(.+)")


@dataclass(frozen=True)
class Message:
    """A request's body as it came."""

    raw: bytes

    @cached_property
    def payload(self) -> dict[str, Any] | None:
        """The message object, or None when the body does not hold one.

        Slack takes the object as JSON, or as JSON in the form field `payload`.
        """
        text: bytes | str = self.raw
        if self.raw.startswith(b"payload="):
            text = parse_qs(self.raw.decode("utf-8", "replace")).get("payload", [""])[0]
        try:
            payload = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        return payload if isinstance(payload, dict) else None

    @cached_property
    def line(self) -> bytes | None:
        """The payload as JSON on one line, or None when there is none, or one nested too deeply to write."""
        try:
            return None if self.payload is None else orjson.dumps(self.payload)
        except orjson.JSONEncodeError:
            return None

    @cached_property
    def alert(self) -> str:
        """What the message is about: the id in the first block's `block_id`, else a hash of the payload.

        The service names its first block by the alert's type and id: `risk_alert.<id>`. The hash is taken
        over the payload with sorted keys, or over the body when it holds no payload.
        """
        if self.line is None:
            return _hash(self.raw)
        match self.payload:
            case {"blocks": [{"block_id": str(name)}, *_]} if found := _ALERT_BLOCK.fullmatch(name):
                return found[1]
        return _hash(orjson.dumps(self.payload, option=orjson.OPT_SORT_KEYS))

    def refusal(self) -> Answer | None:
        """Return Slack's answer to a message it cannot post, or None for one it can."""
        if self.payload is None or self.line is None:
            return refused(400, "invalid_payload", reason="the body holds no JSON object")
        return _misshapen(self.payload) or _saying_nothing(self.payload) or _against_block_kit(self.payload)


def _misshapen(payload: dict[str, Any]) -> Answer | None:
    if not isinstance(payload.get("text", ""), str | None):
        return refused(400, "invalid_payload", reason="text: must be a string")
    attachments = payload.get("attachments") or []
    if not isinstance(attachments, list) or not all(isinstance(each, dict) for each in attachments):
        return refused(400, "invalid_payload", reason="attachments: must be a list of objects")
    if len(attachments) > MAX_ATTACHMENTS:
        return refused(400, "too_many_attachments", reason=f"attachments: at most {MAX_ATTACHMENTS}")
    return None


def _saying_nothing(payload: dict[str, Any]) -> Answer | None:
    if (payload.get("text") or "").strip() or payload.get("blocks") or payload.get("attachments"):
        return None
    return refused(400, "no_text", reason="none of text, blocks and attachments says anything")


def _against_block_kit(payload: dict[str, Any]) -> Answer | None:
    for part in (payload, *(payload.get("attachments") or ())):
        blocks = part.get("blocks")
        if blocks is not None and not isinstance(blocks, list):
            return refused(400, "invalid_blocks_format", reason="blocks: must be a list")
        if blocks and (reason := why_invalid(blocks)):
            return refused(400, "invalid_blocks", reason=reason)
    return None


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
