"""The conversations: channels by id and name, and the messages that are in them."""

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

TEAM = "T0MOCK"
BOT_USER = "U0BOT"
BOT = "B0MOCK"
APP = "A0MOCK"
# The channels there are where no setting says so.
USUAL = ("amer-risk-alerts", "emea-risk-alerts", "apac-risk-alerts")


def channel_id(name: str) -> str:
    """Return the id of a channel: the same one in every mock."""
    return f"C0{blake2b(name.encode(), digest_size=4).hexdigest().upper()}"


class Conversations:
    """The channels, and what was posted to each, oldest first."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = {channel_id(name): name for name in sorted(names)}
        self._messages: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        # Of the last message, so that no two have the same timestamp, microseconds.
        self._last_us = 0

    def name_of(self, channel: str) -> str | None:
        """Return the name of a channel that is given by id or by name; None where there is none."""
        name = channel.removeprefix("#")
        return name if name in self.names.values() else self.names.get(channel)

    def post(self, name: str, message: dict[str, Any], now: float) -> str:
        """Put a message into a channel and return its timestamp, which is its id there."""
        self._last_us = max(int(now * 1e6), self._last_us + 1)
        ts = f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"
        self._messages[name].append({"ts": ts, **message})
        return ts

    def find(self, name: str, ts: str) -> dict[str, Any] | None:
        """Return a message, to be read or changed."""
        return next((each for each in self._messages[name] if each["ts"] == ts), None)

    def read(
        self, name: str, *, after: float = float("-inf"), before: float = float("inf")
    ) -> list[dict[str, Any]]:
        """Return the messages between two moments, newest first."""
        return [each for each in reversed(self._messages[name]) if after <= float(each["ts"]) <= before]


def cursor_before(ts: str) -> str:
    """Return the cursor of the page that begins below a message."""
    return base64.b64encode(f"next_ts:{ts}".encode()).decode()


def read_cursor(cursor: str) -> str | None:
    """Return the message that a page begins below; None where the cursor is none of ours."""
    try:
        kind, _, ts = base64.b64decode(cursor, validate=True).decode().partition(":")
        return ts if kind == "next_ts" and float(ts) else None
    except (binascii.Error, ValueError):
        return None
