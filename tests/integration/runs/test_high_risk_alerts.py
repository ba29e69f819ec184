"""Companies at high risk are reported in their organisation's channel, once, in words."""

from typing import Any, Final

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.domain.default_risk.risk_level import RiskLevel
from service.domain.lifecycle.managed_alert import AlertFilter
from service.domain.tenant import DEFAULT_TENANT
from service.runs.waiting.keep_sending import send_waiting
from service.settings import Settings
from service.wiring import open_app
from tests.support.clocks import START
from tests.support.people import all_seeing
from tests.support.predictions import MODEL, a_prediction

SICK: Final[dict[str, Any]] = {
    "long_term_debt_to_total_capital": "90",
    "total_debt_to_ebitda": "-20",
    "net_income_margin": "-40",
    "ebit_to_interest_expense": None,
    "return_on_assets": "-25",
}
"""Ratios of a company that the small model takes for lost."""


async def test_a_high_risk_is_sent_once_with_its_reasons(database_url: str, slack: RunningMock) -> None:
    """It says who, how likely, by which model and why; what Slack rejected goes with the next run."""
    given: dict[str, Any] = {
        "database_url": database_url,
        "slack_webhook_base_url": slack.webhook_base_url,
        "slack_messages_per_second": 0,
    }
    async with open_app(Settings(_env_file=None, **given)) as app:
        places = all_seeing(app.store).access.organizations
        place = await places.create(DEFAULT_TENANT, name="North", code="north", now=START)
        await places.update(place.id, now=START, default_risk_channel="credit-risk")
        record = app.store.default_risk.predictions.record
        made = await record(a_prediction("DOWN", **SICK), model=MODEL)
        await record(a_prediction("SOLID"), model=MODEL)
        assert made.assessment.risk_level is RiskLevel.HIGH
        slack.script("credit-risk", Step(status=404))
        rejected = await send_waiting(app)
        assert (rejected.counts.alerts, rejected.counts.failed_deliveries) == (1, 1)
        sent = await send_waiting(app)
        assert sent.counts.alerts_sent == 1
        nothing = await send_waiting(app)
        assert nothing.counts.alerts == 0
        (alert,) = (await app.store.alerts.list(AlertFilter(), limit=9)).items
    *_, message = slack.records()
    text = str((message.payload or {})["text"]).splitlines()
    probability = made.assessment.probability
    assert probability is not None
    assert message.channel == "credit-risk"
    assert text[:6] == [
        "🏦 High default risk: DOWN AG (DOWN)",
        f"Probability: {100 * probability:.1f} % of a default within one year",
        "Statement: annual 2025",
        f"Model: {MODEL.name}",
        f"Prediction: {made.id}",
        "Reasons",
    ]
    assert len(text) == 10
    assert all(line.startswith("• ") and "raises the risk (+" in line for line in text[6:])
    (occurrence,) = alert.occurrences
    assert (occurrence.status, occurrence.channel) == ("sent", "credit-risk")
