"""The methods: what each does and answers, as Slack documents them; errors are words in `ok: false`."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from mock_slack.message import Message
from mock_slack.rate import RateLimit
from mock_slack.web_api.behaviour import Behaviour
from mock_slack.web_api.conversations import (
    APP,
    BOT,
    BOT_USER,
    TEAM,
    Conversations,
    channel_id,
    cursor_before,
    read_cursor,
)
from mock_slack.web_api.people import people

Arguments = Mapping[str, Any]
Said = dict[str, Any]
MOST_METADATA = 16_000
_PAGE = 100


class RefusedError(Exception):
    """What Slack answers with `ok: false`: its word for the error, and what else it says of it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.said: Said = {"ok": False, "error": error, **more}


class SlowDownError(Exception):
    """The method was called more often than the app may: to be called again after `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("ratelimited")
        self.wait_s = wait_s


class Methods:
    """The Web API of one workspace, as its bot may use it; `wall` is seconds since 1970."""

    def __init__(
        self, conversations: Conversations, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.conversations = conversations
        self.calls: dict[str, int] = {}
        self._clock = clock
        self._wall = wall
        self.behave(Behaviour())

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from now on; what has been posted stays."""
        self._behaviour = behaviour
        self.people = people(behaviour.people)
        self._limits = {
            method: RateLimit(per_minute / 60, self._clock)
            for method, per_minute in behaviour.calls_per_minute.items()
        }

    def call(self, method: str, arguments: Arguments) -> Said:
        """Do what a method does; raises RefusedError and SlowDownError."""
        self.calls[method] = self.calls.get(method, 0) + 1
        known = _METHODS.get(method)
        if known is None:
            raise RefusedError("unknown_method", req_method=method)
        does, scope = known
        if scope is not None and scope not in self._behaviour.scopes:
            provided = ",".join(sorted(self._behaviour.scopes))
            raise RefusedError("missing_scope", needed=scope, provided=provided)
        limit = self._limits.get(method)
        if limit is not None and (wait_s := limit.wait_s(method)):
            raise SlowDownError(wait_s)
        return {"ok": True, **does(self, arguments)}

    def test(self, _: Arguments) -> Said:
        """`auth.test`: say whose token this is."""
        return {
            "url": "https://mock.slack.com/",
            "team": "Mock",
            "user": "risk_alerts",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT,
        }

    def post(self, arguments: Arguments) -> Said:
        """`chat.postMessage`: put a message into a channel."""
        name = self._writable(arguments)
        message = self._message(arguments)
        ts = self.conversations.post(name, message, self._wall())
        return {"channel": channel_id(name), "ts": ts, "message": {"ts": ts, **message}}

    def update(self, arguments: Arguments) -> Said:
        """`chat.update`: put other words into a message of the bot's own."""
        name = self._writable(arguments)
        if arguments["channel"] not in self.conversations.names:  # other than a new message, by id only
            raise RefusedError("channel_not_found")
        ts = str(arguments.get("ts", ""))
        found = self.conversations.find(name, ts)
        if found is None:
            raise RefusedError("message_not_found")
        if found.get("bot_id") != BOT:
            raise RefusedError("cant_update_message")
        kept = {"metadata": found["metadata"]} if "metadata" in found else {}
        edited = {"user": BOT_USER, "ts": f"{self._wall():.6f}"}
        found.update(kept | self._message(arguments) | {"edited": edited})
        return {"channel": channel_id(name), "ts": ts, "text": found["text"], "message": found}

    def list(self, arguments: Arguments) -> Said:
        """`conversations.list`: name the channels, by pages."""
        limit = _limit(arguments, 1000)
        types = str(arguments.get("types") or "public_channel").split(",")
        if "private_channel" in types and "groups:read" not in self._behaviour.scopes:
            raise RefusedError("missing_scope", needed="groups:read")
        every = [
            {
                "id": each,
                "name": name,
                "is_channel": True,
                "is_private": False,
                "is_archived": name in self._behaviour.archived,
                "is_member": name not in self._behaviour.absent_from,
            }
            for each, name in self.conversations.names.items()
            if "public_channel" in types
        ]
        if _truth(arguments.get("exclude_archived")):
            every = [each for each in every if not each["is_archived"]]
        text = str(arguments.get("cursor") or "0")
        if not text.isdecimal():
            raise RefusedError("invalid_cursor")
        begin = int(text)
        following = str(begin + limit) if begin + limit < len(every) else ""
        page = every[begin : begin + limit]
        return {"channels": page, "response_metadata": {"next_cursor": following}}

    def history(self, arguments: Arguments) -> Said:
        """`conversations.history`: read a channel's messages, newest first, by pages."""
        name = self.conversations.names.get(str(arguments.get("channel", "")))
        if name is None:
            raise RefusedError("channel_not_found")
        if name in self._behaviour.absent_from:
            raise RefusedError("not_in_channel")
        limit = min(_limit(arguments, 999), self._behaviour.history_page)
        lag_s = self._behaviour.history_lag_s
        seen_until = self._wall() - lag_s if lag_s else float("inf")
        found = self.conversations.read(
            name,
            after=_moment(arguments, "oldest", float("-inf")),
            before=min(seen_until, _moment(arguments, "latest", float("inf"))),
        )
        if cursor := arguments.get("cursor"):
            below = read_cursor(str(cursor))
            if below is None:
                raise RefusedError("invalid_cursor")
            found = [each for each in found if float(each["ts"]) < float(below)]
        page, rest = found[:limit], found[limit:]
        if not _truth(arguments.get("include_all_metadata")):
            page = [{key: value for key, value in each.items() if key != "metadata"} for each in page]
        said: Said = {"messages": page, "has_more": bool(rest)}
        if rest:
            said["response_metadata"] = {"next_cursor": cursor_before(page[-1]["ts"])}
        return said

    def info(self, arguments: Arguments) -> Said:
        """`users.info`: say who somebody is; the e-mail only where the token may see it."""
        user = self.people.get(str(arguments.get("user", "")))
        if user is None:
            raise RefusedError("user_not_found")
        if "users:read.email" not in self._behaviour.scopes:
            user = {**user, "profile": {k: v for k, v in user["profile"].items() if k != "email"}}
        return {"user": user}

    def _writable(self, arguments: Arguments) -> str:
        """Return the name of the channel that a message is for."""
        channel = arguments.get("channel")
        name = self.conversations.name_of(channel) if isinstance(channel, str) else None
        if name is None:
            raise RefusedError("channel_not_found")
        if name in self._behaviour.archived:
            raise RefusedError("is_archived")
        if name in self._behaviour.absent_from and "chat:write.public" not in self._behaviour.scopes:
            raise RefusedError("not_in_channel")
        return name

    def _message(self, arguments: Arguments) -> dict[str, Any]:
        """Return what stands in the channel, checked as a webhook's message is."""
        refusal = Message(orjson.dumps(dict(arguments))).refusal()
        if refusal is not None:
            word = refusal.body.decode()
            more = {"errors": [refusal.reason]} if word.startswith("invalid_blocks") else {}
            raise RefusedError("invalid_arguments" if word == "invalid_payload" else word, **more)
        message: dict[str, Any] = {
            "type": "message",
            "user": BOT_USER,
            "bot_id": BOT,
            "app_id": APP,
            "team": TEAM,
            "text": arguments.get("text") or "",
        }
        if "blocks" in arguments:
            message["blocks"] = arguments["blocks"]
        metadata = arguments.get("metadata")
        if metadata is not None:
            match metadata:
                case {"event_type": str(), "event_payload": dict()} if len(metadata) == 2:  # noqa: PLR2004
                    message["metadata"] = metadata
                case _:
                    raise RefusedError("invalid_metadata_format")
            if len(orjson.dumps(metadata)) > MOST_METADATA:
                raise RefusedError("metadata_too_large")
        return message


_METHODS: dict[str, tuple[Callable[[Methods, Arguments], Said], str | None]] = {
    "auth.test": (Methods.test, None),
    "chat.postMessage": (Methods.post, "chat:write"),
    "chat.update": (Methods.update, "chat:write"),
    "conversations.list": (Methods.list, "channels:read"),
    "conversations.history": (Methods.history, "channels:history"),
    "users.info": (Methods.info, "users:read"),
}


def _truth(value: object) -> bool:
    """Read a flag as JSON and forms spell it."""
    return str(value).lower() in {"true", "1"}


def _limit(arguments: Arguments, most: int) -> int:
    text = str(arguments.get("limit", _PAGE))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise RefusedError("invalid_limit")
    return int(text)


def _moment(arguments: Arguments, name: str, otherwise: float) -> float:
    try:
        return float(arguments.get(name) or otherwise)
    except (TypeError, ValueError):
        raise RefusedError(f"invalid_ts_{name}") from None
