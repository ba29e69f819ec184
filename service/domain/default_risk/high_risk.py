"""High risk: the alert about a company whose newest statement is scored HIGH. Pure."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.domain.alert import Fact, RecordedAlert, alert_id_of
from service.domain.default_risk.period import period_text
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.problem import Problem

if TYPE_CHECKING:
    from service.domain.default_risk.prediction import ModelName

DEFAULT_RISK: Final = "default_risk"
"""The type of these alerts."""
HIGH_RISK: Final = "default_risk_high"
"""The rule that makes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HighRisk:
    """A statement that was scored HIGH."""

    tenant_id: str
    company_id: str
    company_symbol: str
    company_name: str
    model: "ModelName"
    reporting_year: int
    reporting_quarter: int
    """0: an annual statement."""
    prediction_id: str
    probability: float
    ratios: tuple[float | None, ...]
    """In the order of the kind's ratios, as the two below are."""
    contributions: tuple[float, ...]
    channel: str

    @property
    def period(self) -> str:
        """The statement's period: one alert is sent for each of a company."""
        return period_text(self.reporting_year, self.reporting_quarter)

    def alert(self) -> RecordedAlert:
        """Return the alert, with all that its message says."""
        subject = subject_of(self.model.kind, self.company_id)
        facts: dict[str, Fact] = {
            "company_id": self.company_id,
            "company_symbol": self.company_symbol,
            "company_name": self.company_name,
            "kind": str(self.model.kind),
            "probability": self.probability,
            "prediction_id": self.prediction_id,
            "model": self.model.name,
            "model_sha256": self.model.sha256,
            "horizon": self.model.horizon,
            # Lists, which no fact can be.
            "ratios": json.dumps(self.ratios),
            "contributions": json.dumps(self.contributions),
            "named_channel": self.channel,
        }
        return RecordedAlert(
            alert_id=alert_id_of(
                tenant_id=self.tenant_id, alert_type=DEFAULT_RISK, subject=subject, period=self.period
            ),
            alert_type=DEFAULT_RISK,
            subject=subject,
            period=self.period,
            route=None,
            facts=facts,
        )

    def problem(self) -> Problem:
        """Return what people work on: the company, for as long as its newest statement is HIGH."""
        return problem_of(self.alert())


def subject_of(kind: PredictionKind, company_id: str) -> str:
    """Return what an alert is about: annual and quarterly statements are two things to know."""
    return f"{kind}/{company_id}"


def problem_of(alert: RecordedAlert) -> Problem:
    """Return what makes an alert part of one that people work on."""
    facts = alert.facts
    said = f"probability of default {percent(facts['probability'])}, {facts['kind']} {alert.period}"
    return Problem(
        rule_name=HIGH_RISK,
        message=f"{facts['company_name']} ({facts['company_symbol']}): {said}",
        severity=Severity.HIGH,
        began=alert.period,
    )


def percent(probability: Fact) -> str:
    """Return a probability as people read it: `62.3 %`."""
    return f"{100 * float(probability or 0):.1f} %"
