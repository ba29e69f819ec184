"""The payload: a message as Slack takes it. Pure text, no I/O.

Escaping and limits follow Slack's own rules: `&`, `<` and `>` are escaped in every value that came from data
(docs.slack.dev/messaging/formatting-message-text), a header holds 150 characters, a section's field 2000 and
a section's text 3000 (docs.slack.dev/reference/block-kit/blocks). Values stand in `plain_text` objects, where
`*`, `_` and `:fire:` mean nothing.
"""

import unicodedata
from dataclasses import replace
from datetime import UTC
from typing import Any, Final

from service.delivery.slack.pressing.buttons import buttons, is_user_id
from service.domain.alert import Alert
from service.domain.alert_type import Line, Link, Message
from service.domain.lifecycle.alert_status import AlertStatus, Resolution
from service.domain.lifecycle.message_state import MessageState

HEADER_LIMIT: Final = 150
VALUE_LIMIT: Final = 300
"""Cap of one value; no region or owner needs more, and Slack's own limit of a field is 2000."""
LINK_LIMIT: Final = 2500
"""A longer link would not fit into a section's text."""
LIST_LIMIT: Final = 12
"""Lines of a list: each is cut so that all of them fit into a section's text."""
_LIST_LINE_LIMIT: Final = 240
_NOTHING: Final = "none"
_KEY_SHARE: Final = 60
"""Characters of the header that are kept free for the key: it is what a person searches for."""

_BIDIRECTIONAL_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def render(
    alert: Alert,
    message: Message,
    *,
    named_channel: str | None = None,
    has_buttons: bool = False,
    state: MessageState | None = None,
    mentions: bool = False,
) -> dict[str, Any]:
    """Return the payload of a message: Block Kit, and `text` for notifications.

    `named_channel` is set when one webhook serves all channels: the message then says whose it is. `state` is
    what has become of the alert since the message went out. With `has_buttons` there is one for each step
    that people can take from there. It `mentions` whom only Slack can name: whoever is mentioned in a new
    message is notified, and in one that is changed is not.
    """
    title = _title(message)
    news = () if state is None else _state_texts(state, mentions=mentions)
    lines = [f"{line.label}: {value}" for line in message.lines if (value := _value(line)) is not None]
    if named_channel is not None:
        lines.append(f"Channel: #{_shown(named_channel)}")
    header = {
        "type": "header",
        # Tells one alert's message from another's wherever the message is found.
        "block_id": f"{alert.alert_type}.{alert.alert_id}",
        "text": {"type": "plain_text", "text": title, "emoji": True},
    }
    facts = {
        "type": "section",
        "fields": [{"type": "plain_text", "text": line, "emoji": False} for line in lines],
    }
    shown = [" ".join(news)] if news else []
    lists = [] if message.url is not None else [_list_text(each) for each in message.lists]
    state_block = [_state_block(news)] if news else []
    blocks = [header, *state_block, facts, *map(_plain_section, lists)]
    said = [title, *shown, *lines, *lists]
    if message.url is not None:
        details, link = _details(message)
        said.append(details)
        blocks.append(_link_section(link))
    status = AlertStatus.TRIGGERED if state is None else state.status
    if has_buttons and message.is_worked_on and (steps := buttons(alert.alert_id, status)) is not None:
        blocks.append(steps)
    return {"text": "\n".join(said), "blocks": blocks}


def with_link(payload: dict[str, Any], link: Link) -> dict[str, Any]:
    """Return a payload that leads to something else as well, above what can be done about the alert."""
    words, shown = _shown(link.text), _shown(link.text)
    if link.url is not None:
        url = _escaped(link.url)
        words, shown = f"{words}: {url}", f"<{url}|{shown}>"
    blocks = list(payload["blocks"])
    actions = (place for place, block in enumerate(blocks) if block["type"] == "actions")
    blocks.insert(next(actions, len(blocks)), _link_section(shown))
    return payload | {"text": f"{payload['text']}\n{words}", "blocks": blocks}


def restated(before: Message, after: Message) -> Message:
    """Return a message as the data have it by now, in which each line that has changed says what it was."""
    known = {line.label: _plain_value(line) for line in before.lines}

    def line_of(line: Line) -> Line:
        was, now = known.get(line.label, _NOTHING), _plain_value(line)
        return line if was == now else replace(line, value=f"{now} (restated, was {was})")

    return replace(after, lines=tuple(map(line_of, after.lines)))


def _plain_value(line: Line) -> str:
    return _cleaned(line.value or "") or line.if_blank or _NOTHING


def _plain_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}


def _state_block(texts: tuple[str, ...]) -> dict[str, Any]:
    """Return a section; of three texts a context, in which markup is read in the second, a mention, alone."""
    if len(texts) == 1:
        return _plain_section(texts[0])
    before, mention, after = texts
    return {
        "type": "context",
        "elements": [
            _plain_section(before)["text"],
            _link_section(mention)["text"],
            _plain_section(after)["text"],
        ],
    }


def _link_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _details(message: Message) -> tuple[str, str]:
    """Return the link to read on, for notifications and for the message."""
    if message.url is None or len(message.url) > LINK_LIMIT:
        return (f"Details: {message.without_link}",) * 2
    url = _escaped(message.url)
    return f"Details: {url}", f"<{url}|{_escaped(message.link_text)}>"


def _state_texts(state: MessageState, *, mentions: bool) -> tuple[str, ...]:
    """Say who does something about the alert, or why it is over: one text, or three around a mention."""
    if state.status is AlertStatus.TRIGGERED:
        return ()
    words = "👀 Acknowledged" if state.status is AlertStatus.ACKNOWLEDGED else "✅ Resolved"
    by, reason, user = _shown(state.by) or "somebody", "", state.slack_user
    if is_mentioned := user is not None and is_user_id(user):
        by = f"<@{user}>" if mentions else "somebody in Slack"
    if state.reason not in {None, Resolution.PERSON}:
        by, reason = "the newest data", f" ({state.reason})"
    note = f": {shown}" if (shown := _shown(state.note)) else ""
    at = "" if state.at is None else f" at {state.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if is_mentioned and mentions and at:
        return f"{words} by", by, f"{at.lstrip()}{reason}{note}"
    return (f"{words} by {by}{at}{reason}{note}",)


def _title(message: Message) -> str:
    frame = f"{message.headline} {{}} ({{}})"
    room = HEADER_LIMIT - len(frame.format("", ""))
    name, key = _cleaned(message.name), _cleaned(message.key)
    shown_key = _fitted(key, max(_KEY_SHARE, room - len(_escaped(name))))
    return frame.format(_fitted(name, room - len(shown_key)), shown_key)


def _value(line: Line) -> str | None:
    return _shown(line.value) or line.if_blank


def _list_text(lines: tuple[str, ...]) -> str:
    return "\n".join(_fitted(_cleaned(line), _LIST_LINE_LIMIT) for line in lines[:LIST_LIMIT])


def _shown(value: str | None) -> str:
    return _fitted(_cleaned(value or ""), VALUE_LIMIT)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cleaned(text: str) -> str:
    """Put the text on one line, without characters that could reorder or hide the rest of it."""
    kept = (
        " " if unicodedata.category(character) in {"Cc", "Zl", "Zp"} else character
        for character in text[: 4 * VALUE_LIMIT]
        if character not in _BIDIRECTIONAL_CONTROLS
    )
    one_line = " ".join("".join(kept).split())
    return one_line.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot be sent


def _fitted(text: str, limit: int) -> str:
    """Escape the text and cut it to at most `limit` characters, never inside an escape."""
    escaped = _escaped(text)
    if len(escaped) <= limit:
        return escaped
    pieces: list[str] = []
    room = limit - 1
    for piece in map(_escaped, text):
        if len(piece) > room:
            break
        pieces.append(piece)
        room -= len(piece)
    return "".join(pieces).rstrip() + "…"
