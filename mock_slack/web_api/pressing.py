"""Pressing a button: what Slack sends to the app's request URL, signed, and where the app may answer.

The payload is Slack's `block_actions` (docs.slack.dev/reference/interaction-payloads/block_actions-payload),
the signature its `v0` (docs.slack.dev/authentication/verifying-requests-from-slack).
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
from pydantic import BaseModel, ConfigDict, Field

from mock_slack.web_api.conversations import APP, TEAM, Conversations, channel_id

MOST_ANSWERS = 5
ANSWERED_FOR_S = 30 * 60.0


class Press(BaseModel):
    """Who presses which button, and what is wrong with the request that tells of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_url: str = Field(pattern=r"^https?://[^\s/]", description="Where the app hears of presses.")
    signing_secret: str = Field(min_length=1, description="What the app knows the request by.")
    channel: str = Field(description="By name or id.")
    action_id: str = Field(description="Which button.")
    ts: str | None = Field(None, description="Of the message; unset: the newest one with that button.")
    user: str = Field("U0ANN", description="Who presses it; `web_api/people.py` has more of them.")
    team: str = Field(TEAM, description="The workspace that the request says it is from.")
    clock_off_s: float = Field(0.0, allow_inf_nan=False, description="Added to the signed timestamp.")
    signature: str | None = Field(None, description="Sent in place of the right one.")


class NoSuchButtonError(Exception):
    """There is nothing of that kind to be pressed."""


@dataclass(slots=True)
class ResponseUrl:
    """Where the app may answer a press for a while, and a few times."""

    user: str
    channel: str
    ts: str
    until: float
    answers: list[dict[str, Any]] = field(default_factory=list)


class Presses:
    """The presses of a workspace, and what the app has answered to them."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self._urls: dict[str, ResponseUrl] = {}

    def payload(self, press: Press, username: str, now: float, base_url: str) -> dict[str, Any]:
        """Return what Slack would send; raises NoSuchButtonError. `base_url` is the mock's own."""
        name = self._conversations.name_of(press.channel)
        if name is None:
            raise NoSuchButtonError(f"there is no channel {press.channel!r}")
        message, action = self._button(name, press)
        token, place = secrets.token_hex(12), channel_id(name)
        path = f"actions/{press.team}/{len(self._urls) + 1}/{token}"
        self._urls[path] = ResponseUrl(press.user, name, message["ts"], now + ANSWERED_FOR_S)
        user = {"id": press.user, "username": username, "name": username, "team_id": press.team}
        container = {"type": "message", "message_ts": message["ts"], "channel_id": place}
        return {
            "type": "block_actions",
            "user": user,
            "api_app_id": APP,
            "token": "deprecated",
            "container": container | {"is_ephemeral": False},
            "trigger_id": f"{len(self._urls)}.{int(now)}.{secrets.token_hex(16)}",
            "team": {"id": press.team, "domain": "mock"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": place, "name": name},
            "message": {key: value for key, value in message.items() if key != "metadata"},
            "state": {"values": {}},
            "response_url": f"{base_url}/{path}",
            "actions": [{**action, "action_ts": f"{now:.6f}"}],
        }

    def _button(self, name: str, press: Press) -> tuple[dict[str, Any], dict[str, Any]]:
        for message in self._conversations.read(name):
            if press.ts not in {None, message["ts"]}:
                continue
            for number, block in enumerate(message.get("blocks", ())):
                for element in block.get("elements", ()) if block["type"] == "actions" else ():
                    if element.get("action_id") == press.action_id:
                        shown = {key: element[key] for key in ("text", "value", "style") if key in element}
                        ids = {"action_id": press.action_id, "block_id": block.get("block_id", f"b{number}")}
                        return message, {**ids, **shown, "type": "button"}
        where = f"#{name}" if press.ts is None else f"{press.ts} in #{name}"
        raise NoSuchButtonError(f"no message {where} has a button {press.action_id!r}")

    def answered(self, path: str, answer: dict[str, Any], now: float) -> str | None:
        """Keep what the app answers to a press; returns Slack's word where it cannot."""
        found = self._urls.get(path)
        if found is None or now > found.until:
            return "expired_url"
        if len(found.answers) == MOST_ANSWERS:
            return "used_url"
        found.answers.append(answer)
        return None

    def answers(self) -> list[dict[str, Any]]:
        """Return what the app has answered, press by press: to whom, about which message, and the answer."""
        return [
            {"user": each.user, "channel": each.channel, "ts": each.ts, "answer": answer}
            for each in self._urls.values()
            for answer in each.answers
        ]


def signed(press: Press, payload: Mapping[str, Any], now: float) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of the request, wrong where the press says so."""
    body = urlencode({"payload": orjson.dumps(payload).decode()}).encode()
    timestamp = str(int(now + press.clock_off_s))
    return body, {
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": press.signature or signature(press.signing_secret, timestamp, body),
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return Slack's signature of a request."""
    return f"v0={hmac.new(secret.encode(), f'v0:{timestamp}:'.encode() + body, hashlib.sha256).hexdigest()}"
