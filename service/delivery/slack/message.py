"""The payload: a message as Slack takes it. Pure text, no I/O.

Escaping and limits follow Slack's own rules: `&`, `<` and `>` are escaped in every value that came from data
(docs.slack.dev/messaging/formatting-message-text), a header holds 150 characters, a section's field 2000 and
a section's text 3000 (docs.slack.dev/reference/block-kit/blocks). Values stand in `plain_text` objects, where
`*`, `_` and `:fire:` mean nothing.
"""

import unicodedata
from typing import Any, Final

from service.domain.alert import Alert
from service.domain.alert_type import Line, Message

HEADER_LIMIT: Final = 150
VALUE_LIMIT: Final = 300
"""Cap of one value; no region or owner needs more, and Slack's own limit of a field is 2000."""
LINK_LIMIT: Final = 2500
"""A longer link would not fit into a section's text."""
LIST_LIMIT: Final = 12
"""Lines of a list: each is cut so that all of them fit into a section's text."""
_LIST_LINE_LIMIT: Final = 240
_KEY_SHARE: Final = 60
"""Characters of the header that are kept free for the key: it is what a person searches for."""

_BIDIRECTIONAL_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def render(alert: Alert, message: Message, *, named_channel: str | None = None) -> dict[str, Any]:
    """Return the payload of a Slack incoming webhook: Block Kit, and `text` for notifications.

    `named_channel` is set when one webhook serves all channels: the message then says whose it is.
    """
    title = _title(message)
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
    if message.url is None:
        lists = [_list_text(each) for each in message.lists]
        sections = [
            {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}
            for text in lists
        ]
        return {"text": "\n".join([title, *lines, *lists]), "blocks": [header, facts, *sections]}
    if len(message.url) <= LINK_LIMIT:
        url = _escaped(message.url)
        details, link = f"Details: {url}", f"<{url}|{_escaped(message.link_text)}>"
    else:
        details = link = f"Details: {message.without_link}"
    place = {"type": "section", "text": {"type": "mrkdwn", "text": link, "verbatim": True}}
    return {"text": "\n".join([title, *lines, details]), "blocks": [header, facts, place]}


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
