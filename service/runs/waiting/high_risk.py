"""The type `default_risk`: how it is said that a company's statement is scored HIGH. Pure."""

import json
from collections.abc import Mapping
from typing import ClassVar, Final

from service.domain.alert import Alert, Fact, RecordedAlert
from service.domain.alert_type import Line, Message, Routes
from service.domain.default_risk.high_risk import DEFAULT_RISK, percent, problem_of
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.lifecycle.problem import Problem

_SHOWN: Final = 200


class ToOrganisation:
    """What goes to the channel that an organisation had named."""

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return that channel."""
        return routes.named(str(alert.facts["named_channel"]))

    def why_unrouted(self, alert: Alert) -> str:
        """Say why an alert has no channel."""
        del alert
        return "no webhook leads to the channel of the company's organisation"


class HighRiskAlert(ToOrganisation):
    """What is particular to these alerts."""

    name: ClassVar[str] = DEFAULT_RISK

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
