"""A message that is changed later says what has become of its alert, and where the one before it stands."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mock_slack.blocks import why_invalid
from service.account_risk.account_at_risk import AccountAtRisk
from service.account_risk.risk_alert import RiskAlert
from service.delivery.slack.message import render, restated, with_link
from service.domain.alert_type import Link
from service.domain.lifecycle.alert_status import AlertStatus, Resolution
from service.domain.lifecycle.message_state import MessageState
from tests.support.alerts import BASE_URL, an_alert, rendered

AT = datetime(2026, 1, 5, 9, 12, 40, tzinfo=UTC)
TYPE = RiskAlert(details_base_url=BASE_URL)


def shown(alert: AccountAtRisk | None = None, **what: Any) -> list[str]:
    """Return the lines of a message's text; its blocks say the same but for the links."""
    account = alert or an_alert()
    payload = render(account, TYPE.message(account), **what)
    header, *sections = payload["blocks"]
    said = [header["text"]["text"]]
    for section in sections:
        said += [field["text"] for field in section.get("fields", ())]
        said += [section["text"]["text"]] if section.get("text", {}).get("type") == "plain_text" else []
    text: list[str] = payload["text"].splitlines()
    assert said == text[: len(said)]
    return text


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (
            MessageState(status=AlertStatus.ACKNOWLEDGED, by="ann@example.com", at=AT),
            "👀 Acknowledged by ann@example.com at 2026-01-05 09:12 UTC",
        ),
        (
            MessageState(status=AlertStatus.ACKNOWLEDGED, by="ann", at=AT, note="calls <them> today"),
            "👀 Acknowledged by ann at 2026-01-05 09:12 UTC: calls &lt;them&gt; today",
        ),
        (
            MessageState(
                status=AlertStatus.RESOLVED, by="bob", at=AT, note="renewed", reason=Resolution.PERSON
            ),
            "✅ Resolved by bob at 2026-01-05 09:12 UTC: renewed",
        ),
        (
            MessageState(status=AlertStatus.RESOLVED, by="system", at=AT, reason=Resolution.RECOVERED),
            "✅ Resolved by the newest data at 2026-01-05 09:12 UTC (recovered)",
        ),
        (
            MessageState(status=AlertStatus.RESOLVED, by="system", at=AT, reason=Resolution.WITHDRAWN),
            "✅ Resolved by the newest data at 2026-01-05 09:12 UTC (withdrawn)",
        ),
    ],
)
def test_says_what_has_become_of_the_alert(state: MessageState, line: str) -> None:
    """The line stands right below the title, where a channel is skimmed, and all else stays as it was."""
    title, second, *rest = shown(state=state)
    assert second == line
    assert [title, *rest] == shown()


SLACK_USER = MessageState(
    status=AlertStatus.ACKNOWLEDGED, by="slack:U0ANN", at=AT, note="*calls* <!here>", reason=None
)


def test_whom_slack_alone_can_name_is_mentioned_where_nobody_is_notified() -> None:
    """A changed message mentions them; what anybody wrote stands beside it in plain text."""
    account = an_alert()
    payload = render(account, TYPE.message(account), state=SLACK_USER, mentions=True)
    after = "at 2026-01-05 09:12 UTC: *calls* &lt;!here&gt;"
    assert payload["blocks"][1] == {
        "type": "context",
        "elements": [
            {"type": "plain_text", "text": "👀 Acknowledged by", "emoji": False},
            {"type": "mrkdwn", "text": "<@U0ANN>", "verbatim": True},
            {"type": "plain_text", "text": after, "emoji": False},
        ],
    }
    assert payload["text"].splitlines()[1] == f"👀 Acknowledged by <@U0ANN> {after}"
    assert why_invalid(payload["blocks"]) is None


def test_a_new_message_mentions_nobody() -> None:
    """It would notify them."""
    assert shown(state=SLACK_USER)[1].startswith("👀 Acknowledged by somebody in Slack at 2026")


@pytest.mark.parametrize("by", ["slack:U1> <!channel>", "slack:", "slack:C0AMER", "slack:!here", "U0ANN"])
def test_what_is_no_user_of_slack_is_no_mention(by: str) -> None:
    """Who took a step is what a caller says, where nobody is asked."""
    state = MessageState(status=AlertStatus.RESOLVED, by=by, at=AT)
    account = an_alert()
    payload = render(account, TYPE.message(account), state=state, mentions=True)
    assert payload["blocks"][1]["text"]["type"] == "plain_text"
    assert "<" not in payload["text"].splitlines()[1]


def test_an_alert_that_is_triggered_again_reads_as_it_did() -> None:
    """Who gave it back, or reopened it, leaves the message that everybody knows."""
    account = an_alert()
    assert rendered(account) == render(
        account, TYPE.message(account), state=MessageState(status=AlertStatus.TRIGGERED)
    )


def test_restated_values_stand_where_they_were() -> None:
    """A line that the data have otherwise by now says what it said; the other lines say nothing of it."""
    before, after = an_alert(arr=10_211, account_owner="a & b"), an_alert(arr=None, account_owner=None)
    message = restated(TYPE.message(before), TYPE.message(after))
    text = render(after, message)["text"].splitlines()
    assert text[3] == "ARR: Unknown (restated, was $10,211)"
    assert text[5] == "Owner: none (restated, was a &amp; b)"
    assert sum("restated" in line for line in text) == 2


def test_leads_to_the_message_before() -> None:
    """The link stands below that of the account, and above buttons; without an address there are words."""
    url = "https://acme.slack.com/archives/C1/p1767225600000100"
    payload = rendered(an_alert())
    buttons = {"type": "actions", "elements": []}
    linked = with_link({**payload, "blocks": [*payload["blocks"], buttons]}, Link(text="2025-12", url=url))
    *before, link, last = linked["blocks"]
    assert (before, last) == (payload["blocks"], buttons)
    assert link["text"]["text"] == f"<{url}|2025-12>"
    assert linked["text"] == f"{payload['text']}\n2025-12: {url}"
    plain = with_link(payload, Link(text="<2025-12>", url=None))
    assert plain["blocks"][-1]["text"]["text"] == "&lt;2025-12&gt;"
    assert plain["text"].splitlines()[-1] == "&lt;2025-12&gt;"
