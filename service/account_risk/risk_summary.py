"""The type `summary`: what a channel reads after a month's run about all accounts that it has. Pure."""

from collections.abc import Sequence
from typing import ClassVar, Final

from service.account_risk.risk_alert import arr_text
from service.domain.alert import Alert, Fact, RecordedAlert, alert_id_of
from service.domain.alert_type import Line, Message, Routes
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.problem import Problem
from service.domain.lifecycle.run_changes import ChangeKind, RouteTotal, SubjectChange, totals_of
from service.domain.lifecycle.summary import SummarizedRun

SUMMARY: Final = "summary"
_NAMED: Final = 10
"""Accounts of each kind, and regions; a message is no list."""
_SHOWN: Final = 80
"""Characters of a name, an id or a region."""
_AT_RISK: Final = {ChangeKind.NEW, ChangeKind.REOPENED, ChangeKind.CONTINUING}
_REGIONS: Final = "regions"


class RiskSummary:
    """What is particular to summaries: one for each run and channel."""

    name: ClassVar[str] = SUMMARY

    def of_channel(self, run: SummarizedRun, channel: str, changes: Sequence[SubjectChange]) -> Alert:
        """Return what a channel reads about a run, each part as its lines."""
        at_risk = [one for one in changes if one.change in _AT_RISK]
        facts: dict[str, Fact] = {
            "channel": channel,
            "run_id": run.run_id,
            "at_risk": _accounts(len(at_risk), sum(one.arr or 0 for one in at_risk)),
            _REGIONS: "\n".join(_regions(totals_of(changes))),
        }
        for kind in ChangeKind:
            if of_kind := [one for one in changes if one.change is kind]:
                facts[kind.value] = "\n".join(_named(of_kind, run.run_id))
                facts[f"{kind.value}_count"] = len(of_kind)
        subject = f"{channel}/{run.run_id}"
        return RecordedAlert(
            alert_id=alert_id_of(
                tenant_id=run.tenant_id, alert_type=SUMMARY, subject=subject, period=run.period
            ),
            alert_type=SUMMARY,
            subject=subject,
            period=run.period,
            route=None,
            facts=facts,
        )

    def message(self, alert: Alert) -> Message:
        """Return what a customer-success team reads."""
        facts = alert.facts
        kinds = [kind for kind in ChangeKind if kind.value in facts]
        parts = {kind.capitalize(): str(facts[kind.value]) for kind in kinds}
        return Message(
            headline="📋 Summary:",
            name=", ".join(f"{facts[f'{kind.value}_count']:,} {kind}" for kind in kinds),
            key=alert.period,
            lines=(
                Line(label="At Risk", value=str(facts["at_risk"])),
                Line(label="Run", value=str(facts["run_id"])),
            ),
            lists=(
                tuple(str(facts[_REGIONS]).split("\n")),
                *(tuple(f"{title}: {text}".split("\n")) for title, text in parts.items()),
            ),
            is_worked_on=False,
        )

    def problem(self, alert: Alert) -> Problem:
        """Return what nobody works on: it only tells of alerts."""
        message = self.message(alert)
        return Problem(
            rule_name=SUMMARY,
            message=f"{message.headline} {message.name} ({message.key})",
            severity=Severity.LOW,
            began=alert.period,
        )

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return the channel that it is for."""
        return routes.named(str(alert.facts["channel"]))

    def why_unrouted(self, alert: Alert) -> str:
        """Say why a summary cannot be sent."""
        del alert
        return "no webhook leads to its channel any more"

    def notice_line(self, alert: Alert) -> str:
        """Return a summary's line of that list."""
        return f"summary of run {alert.facts['run_id']} for channel {str(alert.facts['channel'])[:_SHOWN]!r}"


def _regions(totals: Sequence[RouteTotal]) -> list[str]:
    """Return a title, and a line for each region: `EMEA: 3 new ($310,000), 1 recovered ($20,000)`."""
    by_region: dict[str | None, list[str]] = {}
    for one in totals:
        text = f"{one.count:,} {one.change} ({arr_text(one.arr)})"
        by_region.setdefault(one.route, []).append(text)
    lines = [f"{_short(region or 'No region')}: {', '.join(texts)}" for region, texts in by_region.items()]
    more = len(lines) - _NAMED
    return ["By region", *lines[:_NAMED], *([f"and {more:,} more regions"] if more > 0 else [])]


def _named(changes: Sequence[SubjectChange], run_id: str) -> list[str]:
    """Return how many accounts there are, and a line for each of the first."""
    unknown = sum(one.arr is None for one in changes)
    title = _accounts(len(changes), sum(one.arr or 0 for one in changes))
    lines = [f"• {_short(one.name or '')} ({_short(one.subject)}): {arr_text(one.arr)}" for one in changes]
    more = len(lines) - _NAMED
    return [
        f"{title}, and of {unknown:,} nobody knows" if unknown else title,
        *lines[:_NAMED],
        *([f"and {more:,} more: risk-alerts runs changes {run_id}"] if more > 0 else []),
    ]


def _accounts(count: int, arr: int) -> str:
    return f"{'1 account' if count == 1 else f'{count:,} accounts'}, ARR {arr_text(arr)}"


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _SHOWN else f"{one_line[: _SHOWN - 1]}…"
