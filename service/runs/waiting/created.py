"""The type `created`: how an alert that somebody created is reported. Pure."""

from typing import ClassVar, Final

from service.domain.alert import Alert
from service.domain.alert_type import Line, Message, Routes
from service.domain.lifecycle.alert_status import CREATED, Severity
from service.domain.lifecycle.problem import Problem

_FITS: Final = 60
"""A message of so many characters is read whole in the title."""
_SHOWN: Final = 200


class Created:
    """What is particular to alerts that somebody created; they go to the channel they name, or by route."""

    name: ClassVar[str] = CREATED

    def message(self, alert: Alert) -> Message:
        """Return what the people in the channel read."""
        facts = {name: str(value) for name, value in alert.facts.items() if value is not None}
        text = facts["message"]
        return Message(
            headline=f"🔔 {facts['severity'].capitalize()}:",
            name=text,
            key=facts["rule_name"],
            lines=(
                Line(label="Message", value=text if len(text) > _FITS else None),
                Line(label="About", value=facts.get("subject")),
                Line(label="Severity", value=facts["severity"]),
                Line(label="Rule", value=facts["rule_name"]),
                Line(label="Alert", value=alert.alert_id),
            ),
        )

    def problem(self, alert: Alert) -> Problem:
        """Return what it was created with."""
        facts = alert.facts
        return Problem(
            rule_name=str(facts["rule_name"]),
            message=str(facts["message"]),
            severity=Severity(str(facts["severity"])),
            began=alert.period,
        )

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return the channel that it names, else the one that its route leads to."""
        named = alert.facts["named_channel"]
        return routes.of(alert.route) if named is None else routes.named(str(named))

    def why_unrouted(self, alert: Alert) -> str:
        """Say why an alert has no channel."""
        if alert.route is None:
            return "no webhook leads to the channel that it names"
        return f"no channel is configured for route {alert.route[:100]!r}"

    def notice_line(self, alert: Alert) -> str:
        """Return an alert's line of that list."""
        shown = (str(alert.facts[name])[:_SHOWN] for name in ("severity", "rule_name", "message"))
        one_line = (" ".join(text.split()) for text in shown)
        return " | ".join((*one_line, f"route {alert.route!r}"))
