"""The digest: the one message that stands for very many companies at high risk of one bulk job. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.domain.alert import Alert, Fact, RecordedAlert, alert_id_of
from service.domain.default_risk.high_risk import percent

HIGH_RISK_DIGEST: Final = "default_risk_digest"
"""The type of these messages. Nobody works on them: each company has an alert of its own."""
WORST: Final = 5
"""So many companies are named."""
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class HighRiskDigest:
    """What a job found for one channel."""

    tenant_id: str
    job_id: str
    kind: str
    file_name: str
    model: str
    channel: str
    alerts: int
    """Statements that are HIGH; each stands in the outbox as `in_digest`."""
    companies: int
    still_high: int
    """Companies whose newest statement with a score is one of them, when the job ended."""
    first_period: str
    last_period: str
    worst: Sequence[str]
    """Of those that are high still, in the words of `worst_text`."""

    def alert(self) -> RecordedAlert:
        """Return the message, with all that it says; its id is the same for the same job and channel."""
        subject = f"{self.job_id}/{self.channel}"
        facts: dict[str, Fact] = {
            "job_id": self.job_id,
            "kind": self.kind,
            "file_name": " ".join(self.file_name.split())[:_SHOWN],
            "model": self.model,
            "named_channel": self.channel,
            "alerts_in_digest": self.alerts,
            "companies": self.companies,
            "still_high": self.still_high,
            "first_period": self.first_period,
            "worst": "\n".join(self.worst),
        }
        return RecordedAlert(
            alert_id=alert_id_of(
                tenant_id=self.tenant_id,
                alert_type=HIGH_RISK_DIGEST,
                subject=subject,
                period=self.last_period,
            ),
            alert_type=HIGH_RISK_DIGEST,
            subject=subject,
            period=self.last_period,
            route=None,
            facts=facts,
        )


def worst_text(alert: Alert) -> str:
    """Return a company's line: `ACME AG (ACME): 62.3 %, 2025`."""
    facts = alert.facts
    name, symbol = (
        " ".join(str(facts[part]).split())[:_SHOWN] for part in ("company_name", "company_symbol")
    )
    return f"{name} ({symbol}): {percent(facts['probability'])}, {alert.period}"
