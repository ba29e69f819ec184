"""The type `default_risk_digest`: how it is said that very many companies of a file are scored HIGH. Pure."""

from typing import ClassVar, Final

from service.domain.alert import Alert
from service.domain.alert_type import Line, Message, ranked_lines
from service.domain.default_risk.high_risk_digest import HIGH_RISK_DIGEST
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.problem import Problem
from service.runs.waiting.high_risk import ToOrganisation

_SHOWN: Final = 80


class HighRiskDigestMessage(ToOrganisation):
    """What is particular to digests; they go to the channel that their alerts would have gone to."""

    name: ClassVar[str] = HIGH_RISK_DIGEST

    def message(self, alert: Alert) -> Message:
        """Return what the people in the channel read."""
        facts = alert.facts
        first, last = str(facts["first_period"]), alert.period
        period = last if first == last else f"{first} to {last}"
        over = int(facts["companies"] or 0) - int(facts["still_high"] or 0)
        return Message(
            headline="🏦 High default risk:",
            name=f"{facts['companies']:,} companies",
            key=str(facts["file_name"]),
            lines=(
                Line(label="Statements", value=f"{facts['alerts_in_digest']:,} {facts['kind']}, {period}"),
                Line(label="No longer high", value=f"{over:,} of the companies" if over else None),
                *ranked_lines(str(facts["worst"])),
                Line(label="Model", value=str(facts["model"])),
                Line(label="Job", value=str(facts["job_id"])),
            ),
            is_worked_on=False,
        )

    def problem(self, alert: Alert) -> Problem:
        """Return what nobody works on: each company has an alert of its own."""
        message = self.message(alert)
        return Problem(
            rule_name=HIGH_RISK_DIGEST,
            message=f"{message.headline} {message.name} ({message.key})",
            severity=Severity.HIGH,
            began=alert.period,
        )

    def notice_line(self, alert: Alert) -> str:
        """Return a digest's line of that list."""
        facts = alert.facts
        return f"{facts['companies']:,} companies of {str(facts['file_name'])[:_SHOWN]} | {alert.period}"
