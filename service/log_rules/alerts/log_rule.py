"""The type `log_rule`: how an episode of a rule over a log is reported. Pure."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Final

from service.domain.alert import Alert, Fact
from service.domain.alert_type import Line, Message, Notice, Routes, ranked_lines
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.problem import Problem

LOG_RULE: Final = "log_rule"
_HEADLINES: Final = {"critical": "🚨", "high": "🔥"}
_OTHER: Final = "⚠️"
_SEVERITIES: Final = {str(each): each for each in Severity}


class LogRuleAlert:
    """What is particular to alerts of rules over logs. They are sent by their start."""

    name: ClassVar[str] = LOG_RULE
    restatable: ClassVar[Collection[str]] = ("last", "peak", "events", "episodes")
    wording: ClassVar[Mapping[str, Fact]] = {}

    def message(self, alert: Alert) -> Message:
        """Return what a person on call reads."""
        facts = alert.facts
        mark = _HEADLINES.get(str(facts["severity"]), _OTHER)
        rule = str(facts["rule"])
        if "alerts_in_digest" in facts:
            return Message(
                headline=f"{mark} Flood:",
                name=f"{facts['episodes']:,} episodes in {facts['groups']:,} groups",
                key=rule,
                lines=_digest_lines(facts),
            )
        return Message(
            headline=f"{mark} Still:" if facts["repeat"] else mark,
            name=str(facts["title"]),
            key=rule,
            lines=_episode_lines(facts, alert.period),
        )

    def problem(self, alert: Alert) -> Problem:
        """Return what somebody works on: the episodes of one rule and group, as long as it is open."""
        facts = alert.facts
        message = self.message(alert)
        return Problem(
            rule_name=str(facts["rule"]),
            message=f"{message.headline} {message.name} ({message.key})",
            severity=_SEVERITIES.get(str(facts["severity"]).lower(), Severity.MEDIUM),
            began=str(facts.get("start") or alert.period),
        )

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return the rule's channel, or where the group's route leads."""
        channel = alert.facts["channel"]
        return routes.of(alert.route) if channel is None else routes.named(str(channel))

    def why_unrouted(self, alert: Alert) -> str:
        """Say why an alert has no channel."""
        route = alert.route
        if route is None:
            return "the rule's channel has no webhook"
        return f"no channel is configured for {route[:100]!r}" if route.strip() else "the group has no route"

    def notice(self, count: int, period: str | None) -> Notice:
        """Return what support reads above the list of alerts without a channel."""
        alerts = "1 alert" if count == 1 else f"{count} alerts"
        return Notice(
            subject=f"Log rules, {_period(period)}: {alerts} without a Slack channel",
            explanation=(
                f"{alerts} of rules over logs could not be reported: they have no Slack channel.",
                "They go out with the next run of the same period once there is one.",
            ),
            about=f"Period: {_period(period)}",
        )

    def notice_line(self, alert: Alert) -> str:
        """Return an alert's line of that list."""
        facts = alert.facts
        about = f"{facts['stream']} | {facts['rule']} | {facts.get('group') or 'all'}"
        where = f"route {alert.route!r}" if facts["channel"] is None else f"channel {facts['channel']}"
        text = f"{about} | {_period(alert.period)} | {where}"
        return "".join(character if character.isprintable() else " " for character in text[:500])


def _episode_lines(facts: Mapping[str, Fact], due: str) -> tuple[Line, ...]:
    start, last = _shown(facts["start"]), _shown(facts["last"])
    earlier = " or earlier" if facts["start_is_minimum"] else ""
    limit = f"more than {facts['more_than']:,} within {facts['window']}"
    return (
        Line(label="Group", value=str(facts["group"] or "") or None),
        Line(label="Limit", value=limit),
        Line(label="Peak", value=f"{facts['peak']:,} at {_shown(facts['peak_at'])}"),
        Line(label="Events", value=f"{facts['events']:,} since {_shown(facts['onset'])}{earlier}"),
        Line(label="Over the limit from", value=f"{start}{earlier}"),
        Line(label="Last seen over it", value=last),
        # A run over a day may have several: each says which it is, and none looks as if it was sent twice.
        Line(label="Reminder", value=f"{facts['repeat']:,}, of {_shown(due)}" if facts["repeat"] else None),
        Line(label="Severity", value=_text(facts["severity"])),
        Line(label="Log", value=str(facts["stream"])),
    )


def _digest_lines(facts: Mapping[str, Fact]) -> tuple[Line, ...]:
    return (
        Line(label="Limit", value=f"more than {facts['more_than']:,} within {facts['window']}"),
        Line(label="Period", value=_period(str(facts["period"]))),
        *ranked_lines(str(facts["worst"])),
        Line(label="Log", value=str(facts["stream"])),
    )


def _period(period: str | None) -> str:
    """Return an instant, or two with a stroke between them, as people read them."""
    return " to ".join(str(instant)[:19].replace("T", " ") for instant in str(period).split("/")) + " UTC"


def _shown(instant: Fact) -> str:
    """Return an instant as people read it: to the second."""
    return f"{str(instant)[:19].replace('T', ' ')} UTC"


def _text(fact: Fact) -> str | None:
    return None if fact is None else str(fact)
