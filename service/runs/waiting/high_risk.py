"""The type `default_risk`: how it is said that a company's statement is scored HIGH. Pure."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Final

from service.domain.alert import Alert, Fact, RecordedAlert
from service.domain.alert_type import Line, Message, Notice, Routes
from service.domain.default_risk.high_risk import DEFAULT_RISK, percent, problem_of
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.lifecycle.problem import Problem

_SHOWN: Final = 200


class HighRiskAlert:
    """What is particular to these alerts; they go to the channel of the company's organisation."""

    name: ClassVar[str] = DEFAULT_RISK
    restatable: ClassVar[Collection[str]] = ()
    wording: ClassVar[Mapping[str, Fact]] = {}

    def message(self, alert: Alert) -> Message:
        """Return what the people in the channel read."""
        facts = alert.facts
        return Message(
            headline="🏦 High default risk:",
            name=str(facts["company_name"]),
            key=str(facts["company_symbol"]),
            lines=(
                Line(
                    label="Probability",
                    value=f"{percent(facts['probability'])} of a default within {facts['horizon']}",
                ),
                Line(label="Statement", value=f"{facts['kind']} {alert.period}"),
                Line(label="Model", value=str(facts["model"])),
                Line(label="Prediction", value=str(facts["prediction_id"])),
            ),
            lists=(("Reasons", *(f"• {words}" for words in _reasons(facts))),),
        )

    def problem(self, alert: Alert) -> Problem:
        """Return what makes it part of an alert that people work on."""
        return problem_of(RecordedAlert.of(alert))

    def digest_line(self, alert: Alert) -> Sequence[Fact]:
        """Return all that a message can depend on."""
        return (alert.alert_id, *(alert.facts[name] for name in sorted(alert.facts)))

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return the channel that its organisation had named."""
        return routes.named(str(alert.facts["named_channel"]))

    def why_unrouted(self, route: str | None) -> str:
        """Say why an alert has no channel."""
        del route
        return "no webhook leads to the channel of the company's organisation"

    def notice(self, count: int, period: str | None) -> Notice:
        """Return what support reads above the list of alerts."""
        text = f"{count} alerts about high default risk without a Slack channel"
        return Notice(
            subject=text, explanation=(f"{text} could not be sent.",), about=f"Statements: {period}"
        )

    def notice_line(self, alert: Alert) -> str:
        """Return an alert's line of that list."""
        named = (str(alert.facts[name])[:_SHOWN] for name in ("company_symbol", "company_name"))
        return f"{' | '.join(' '.join(text.split()) for text in named)} | {alert.period}"


def _reasons(facts: Mapping[str, Fact]) -> list[str]:
    """Return the strongest reasons in words."""
    # NumPy comes with the ratios, and a start needs neither.
    from service.default_risk.ratios import ratios_of  # noqa: PLC0415
    from service.default_risk.reasons import Reason, strongest  # noqa: PLC0415

    ratios = ratios_of(PredictionKind(str(facts["kind"])))
    values = json.loads(str(facts["ratios"]))
    contributions = json.loads(str(facts["contributions"]))
    named, _ = strongest(
        Reason(ratio=ratio, value=value, contribution=contribution)
        for ratio, value, contribution in zip(ratios, values, contributions, strict=True)
        if value is not None
    )
    return [reason.words for reason in named]
