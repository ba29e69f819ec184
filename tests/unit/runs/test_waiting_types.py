"""Alerts of many types that wait in one outbox: each is put into words by its own type."""

import pytest

from service.account_risk.risk_summary import RiskSummary
from service.domain.alert import RecordedAlert
from service.runs.waiting.created import Created
from service.runs.waiting.high_risk import HighRiskAlert
from service.runs.waiting.high_risk_digest import HighRiskDigestMessage
from service.runs.waiting.kind import WaitingTypes

OWN = Created(), HighRiskAlert(), HighRiskDigestMessage(), RiskSummary()


@pytest.mark.parametrize(
    ("alert_type", "route", "why"),
    [
        ("created", None, "no webhook leads to the channel that it names"),
        ("created", "EMEA", "no channel is configured for route 'EMEA'"),
        ("default_risk", None, "no webhook leads to the channel of the company's organisation"),
        ("default_risk_digest", None, "no webhook leads to the channel of the company's organisation"),
        ("summary", None, "no webhook leads to its channel any more"),
    ],
)
def test_why_an_alert_has_no_channel_is_said_by_its_type(
    alert_type: str, route: str | None, why: str
) -> None:
    """They were all said to name a channel themselves, which only created alerts do."""
    alert = RecordedAlert(
        alert_id="a", alert_type=alert_type, subject="s", period="2026", route=route, facts={}
    )
    assert WaitingTypes(types={each.name: each for each in OWN}).why_unrouted(alert) == why
