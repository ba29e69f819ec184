"""The picture shows the message that the mock took, as Slack would show it."""

import html
import re
from typing import Any

from mock_slack.picture import page


def record(name: str, *, status_code: int = 200, region: str = "AMER") -> dict[str, Any]:
    """Return a line of the mock's log: a message about account a1, escaped as the service escapes it."""
    title = html.escape(f"At Risk: {name} (a1)", quote=False)
    link = {
        "type": "mrkdwn",
        "text": "<https://app.example/a1?b=1&amp;c=2|Account details>",
        "verbatim": True,
    }
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": title}},
        {"type": "section", "fields": [{"type": "plain_text", "text": f"Region: {region}"}]},
        {"type": "section", "text": link},
    ]
    return {"channel": "amer", "status_code": status_code, "payload": {"text": title, "blocks": blocks}}


def test_every_block_is_shown() -> None:
    """The title, the facts, and the link under its label; each character as it is in the data."""
    shown = page([record("Smith & <!channel>")], "a1")
    assert "# amer</div>" in shown
    assert "<h3>At Risk: Smith &amp; &lt;!channel&gt; (a1)</h3>" in shown
    assert "<div>Region: AMER</div>" in shown
    assert '<a href="https://app.example/a1?b=1&amp;c=2">Account details</a>' in shown


def test_the_first_message_that_was_taken() -> None:
    """A refused one is in the log as well."""
    shown = page([record("A", status_code=429, region="no"), record("A"), record("A", region="later")], "a1")
    assert re.findall(r"Region: (\w+)", shown) == ["AMER"]
