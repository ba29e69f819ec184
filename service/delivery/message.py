"""The message: one alert as the person in the Slack channel reads it. Pure text, no I/O.

Escaping and limits follow Slack's own rules: `&`, `<` and `>` are escaped in every value that came from data
(docs.slack.dev/messaging/formatting-message-text), a header holds 150 characters, a section's field 2000 and
a section's text 3000 (docs.slack.dev/reference/block-kit/blocks). Values stand in `plain_text` objects, where
`*`, `_` and `:fire:` mean nothing.
"""

import unicodedata
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from service.domain.alert import Alert

HEADER_LIMIT: Final = 150
VALUE_LIMIT: Final = 300
"""Cap of one value; no region or owner needs more, and Slack's own limit of a field is 2000."""
LINK_LIMIT: Final = 2500
"""A longer link would not fit into a section's text."""
_ID_SHARE: Final = 60
"""Characters of the header that are kept free for the account's id: it is what a person searches for."""

_BIDIRECTIONAL_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def render(alert: Alert, *, details_base_url: str, named_channel: str | None = None) -> dict[str, Any]:
    """Return the payload of a Slack incoming webhook: Block Kit, and `text` for notifications.

    `named_channel` is set when one webhook serves all channels: the message then says whose it is.
    """
    title = _title(alert)
    facts = [
        ("Region", _shown(alert.account_region) or "Unknown"),
        ("At Risk for", duration_text(alert)),
        ("ARR", arr_text(alert.arr)),
        ("Renewal date", _date_text(alert.renewal_date)),
    ]
    if owner := _shown(alert.account_owner):
        facts.append(("Owner", owner))
    if named_channel is not None:
        facts.append(("Channel", f"#{_shown(named_channel)}"))
    url = details_url(alert, details_base_url)
    if len(url) <= LINK_LIMIT:
        details, link = f"Details: {_escaped(url)}", f"<{_escaped(url)}|Account details>"
    else:
        details = link = "Details: the account id is too long for a link"
    lines = [f"{label}: {value}" for label, value in facts]
    return {
        "text": "\n".join([title, *lines, details]),
        "blocks": [
            {
                "type": "header",
                # Tells one alert's message from another's wherever the message is found.
                "block_id": f"risk_alert.{alert.alert_id}",
                "text": {"type": "plain_text", "text": title, "emoji": True},
            },
            {
                "type": "section",
                "fields": [{"type": "plain_text", "text": line, "emoji": False} for line in lines],
            },
            {"type": "section", "text": {"type": "mrkdwn", "text": link, "verbatim": True}},
        ],
    }


def duration_text(alert: Alert) -> str:
    """Say for how long the account has been At Risk: `3 months (since 2025-11-01)`."""
    if alert.duration_is_minimum:
        return f"{alert.duration_months}+ months (since {alert.risk_start_month} or earlier)"
    months = "1 month" if alert.duration_months == 1 else f"{alert.duration_months} months"
    return f"{months} (since {alert.risk_start_month})"


def arr_text(arr: int | None) -> str:
    """Say the ARR as `$10,211`, or `Unknown`."""
    if arr is None:
        return "Unknown"
    return f"-${-arr:,}" if arr < 0 else f"${arr:,}"


def details_url(alert: Alert, base_url: str) -> str:
    """Return the account's page; the id is percent-encoded whole, so `/`, `?` and `..` stay inside it."""
    encoded = quote(alert.account_id, safe="", errors="replace")
    if encoded.strip(".") == "":  # a browser would take `.` and `..` for steps in the path
        encoded = encoded.replace(".", "%2E")
    return f"{base_url.rstrip('/')}/{encoded}"


def _date_text(day: date | None) -> str:
    return "Unknown" if day is None else day.isoformat()


def _title(alert: Alert) -> str:
    frame = "🚩 At Risk: {} ({})"
    room = HEADER_LIMIT - len(frame.format("", ""))
    name, account_id = _cleaned(alert.account_name), _cleaned(alert.account_id)
    id_room = max(_ID_SHARE, room - len(_escaped(name)))
    shown_id = _fitted(account_id, id_room)
    return frame.format(_fitted(name, room - len(shown_id)), shown_id)


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
