"""The status of an alert: the steps that lead from one to another, and who takes them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CREATED: Final = "created"
"""The type of alerts that somebody creates."""


class AlertStatus(StrEnum):
    """Where the work on an alert stands; `TRANSITIONS` says how it gets there."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    """Somebody works on it."""
    RESOLVED = "resolved"


OPEN: Final = frozenset({AlertStatus.TRIGGERED, AlertStatus.ACKNOWLEDGED})


class Severity(StrEnum):
    """How bad it is, from the least to the worst."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Resolution(StrEnum):
    """Why an alert was resolved."""

    PERSON = "person"
    RECOVERED = "recovered"
    """The newest data show that it is over: the account is not At Risk, the burst is past."""
    WITHDRAWN = "withdrawn"
    """The data no longer have any of its occurrences."""
    MIGRATED = "migrated"
    """It is from before alerts had a status, and its source has a newer month."""


class AlertStep(StrEnum):
    """What takes an alert from one status to another."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    RECOVER = "recover"
    WITHDRAW = "withdraw"
    ALERT_AGAIN = "alert_again"


PERSONAL: Final = (AlertStep.ACKNOWLEDGE, AlertStep.UNACKNOWLEDGE, AlertStep.RESOLVE, AlertStep.REOPEN)
"""The steps of people; a run takes the others."""


class EventKind(StrEnum):
    """What happened to an alert; each event is kept for good."""

    TRIGGERED = "triggered"
    JOINED = "joined"
    """An evaluation found it in another month."""
    REPEATED = "repeated"
    """It was created again while it was open."""
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    NOTED = "noted"
    WITHDRAWN = "withdrawn"
    """The data no longer have one of its occurrences."""
    NOT_SEEN = "not_seen"
    """The newest month has no row of the account."""
    BELOW_THRESHOLD = "below_threshold"
    """In the newest month the account is At Risk, and worth no alert."""
    UNKNOWN_ARR = "unknown_arr"
    """In the newest month the account is At Risk, and withheld because its ARR is unknown."""


@dataclass(frozen=True, slots=True)
class AlertTransition:
    """A way from one status to another."""

    step: AlertStep
    start: AlertStatus
    end: AlertStatus
    when: str


def _transitions() -> tuple[AlertTransition, ...]:
    triggered, acknowledged, resolved = AlertStatus
    return (
        AlertTransition(AlertStep.ACKNOWLEDGE, triggered, acknowledged, "a person takes it"),
        AlertTransition(AlertStep.UNACKNOWLEDGE, acknowledged, triggered, "a person gives it back"),
        AlertTransition(AlertStep.RESOLVE, triggered, resolved, "a person says that it is over"),
        AlertTransition(AlertStep.RESOLVE, acknowledged, resolved, "a person says that it is over"),
        AlertTransition(AlertStep.REOPEN, resolved, triggered, "a person, while nothing newer is open"),
        AlertTransition(AlertStep.RECOVER, triggered, resolved, "the newest data show that it is over"),
        AlertTransition(AlertStep.RECOVER, acknowledged, resolved, "the newest data show that it is over"),
        AlertTransition(AlertStep.WITHDRAW, triggered, resolved, "withdrawn, and no occurrence is left"),
        AlertTransition(AlertStep.WITHDRAW, acknowledged, resolved, "withdrawn, and no occurrence is left"),
        AlertTransition(AlertStep.ALERT_AGAIN, resolved, triggered, "alerting again in the same streak"),
    )


TRANSITIONS: Final = _transitions()
"""The whole life of an alert: what is not here does not happen."""


def end_of(step: AlertStep, start: AlertStatus) -> AlertStatus | None:
    """Return where a step leads from a status; None where it must not be taken."""
    return next((way.end for way in TRANSITIONS if (way.step, way.start) == (step, start)), None)
