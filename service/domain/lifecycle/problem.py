"""The problem: what an alert's type says of an occurrence that makes it part of an alert over time. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from service.domain.lifecycle.alert_status import OPEN, AlertStatus, Resolution, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong, in the words of the type."""

    rule_name: str
    message: str
    """One line for a person."""
    severity: Severity
    began: str
    """The period in which its streak began, spelled as periods are: texts that sort by time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAlert:
    """An alert about the same subject, as an occurrence finds it."""

    alert_id: str
    status: AlertStatus
    resolution: Resolution | None
    began: str
    last_period: str
    """Of its newest occurrence."""
    evaluated_period: str
    """The newest that was evaluated with regard to it; never before `last_period`."""


class Joining(StrEnum):
    """What an occurrence does to the alerts about its subject."""

    CREATE = "create"
    CREATE_ENDED = "create_ended"
    """A streak of old that newer months show to be over."""
    JOIN = "join"
    REOPEN = "reopen"


def join(
    known: Iterable[KnownAlert], *, began: str, period: str, until: str | None = None
) -> tuple[Joining, KnownAlert | None]:
    """Say which alert an occurrence of `period` belongs to, and what that does.

    What counts is the order of the data's periods, never the time of a run: an old month that is evaluated
    late joins the alert of its streak, and changes no status. `until` is how far the data were evaluated,
    where that is further than `period`. With CREATE and CREATE_ENDED the alert is the one before, if any.
    """
    in_order = sorted(known, key=lambda each: each.last_period)
    newest = in_order[-1] if in_order else None
    if newest is None:
        return Joining.CREATE, None
    if period > newest.last_period:
        if newest.status in OPEN:
            return Joining.JOIN, newest
        is_same_streak, is_late = began <= newest.last_period, (until or period) < newest.evaluated_period
        if is_same_streak:
            return Joining.JOIN if is_late else Joining.REOPEN, newest
        return Joining.CREATE_ENDED if is_late else Joining.CREATE, newest
    for each in reversed(in_order):
        if each.began <= period and began <= each.last_period:
            return Joining.JOIN, each
    before = [each for each in in_order if each.last_period < period]
    return Joining.CREATE_ENDED, before[-1] if before else None


def alerts_again(alert: KnownAlert, until: str) -> bool:
    """Return whether an occurrence that is known, and found again, reopens its alert.

    That is where as much of the data said before that there is nothing; what a person resolved stays so.
    """
    was_over = alert.resolution in {Resolution.WITHDRAWN, Resolution.RECOVERED}
    return alert.status not in OPEN and was_over and alert.evaluated_period <= until
