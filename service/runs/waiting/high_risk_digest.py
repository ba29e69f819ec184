"""The type `default_risk_digest`: how it is said that very many companies of a file are scored HIGH. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Final

from service.domain.alert import Alert, Fact
from service.domain.alert_type import Line, Message, Notice, Routes, ranked_lines
from service.domain.default_risk.high_risk_digest import HIGH_RISK_DIGEST
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.problem import Problem

_SHOWN: Final = 80


class HighRiskDigestMessage:
    """What is particular to digests; they go to the channel that their alerts would have gone to."""

    name: ClassVar[str] = HIGH_RISK_DIGEST
    restatable: ClassVar[Collection[str]] = ()
    wording: ClassVar[Mapping[str, Fact]] = {}

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

    def digest_line(self, alert: Alert) -> Sequence[Fact]:
        """Return all that a message can depend on."""
        return (alert.alert_id, *(alert.facts[name] for name in sorted(alert.facts)))

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return the channel that the organisation had named."""
        return routes.named(str(alert.facts["named_channel"]))

    def why_unrouted(self, route: str | None) -> str:
        """Say why a digest has no channel."""
        del route
        return "no webhook leads to the channel of the companies' organisation"

    def notice(self, count: int, period: str | None) -> Notice:
        """Return what support reads above the list of digests."""
        text = f"{count} digests about high default risk without a Slack channel"
        return Notice(
            subject=text, explanation=(f"{text} could not be sent.",), about=f"Statements: {period}"
        )

    def notice_line(self, alert: Alert) -> str:
        """Return a digest's line of that list."""
        facts = alert.facts
        return f"{facts['companies']:,} companies of {str(facts['file_name'])[:_SHOWN]} | {alert.period}"
