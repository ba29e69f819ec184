"""What alerts must be after any history of runs and people, as a model of few lines has it.

It knows no ids, tables or transactions: months, what the data say, and what became of each message.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from service.domain.delivery_status import DeliveryStatus
from service.domain.evaluation import Condition
from service.domain.lifecycle.alert_status import AlertStatus, AlertStep, Resolution
from service.domain.lifecycle.problem import Joining, KnownAlert, join
from service.domain.month import Month
from tests.support.alerts import MONTH

ACCOUNTS: Final = "ab"
MONTHS: Final = tuple(MONTH.minus(-number) for number in range(4))
ALERTING, HEALTHY, BELOW, ABSENT = "alerting", "healthy", "below", "absent"
SAID: Final = {
    HEALTHY: Condition.RECOVERED,
    BELOW: Condition.BELOW_THRESHOLD,
    ABSENT: Condition.NOT_SEEN,
}
Data: TypeAlias = dict[tuple[str, Month], str]
"""What each account is in each month."""


@dataclass(eq=False)
class Modelled:
    """One alert, as the model has it."""

    began: Month
    last: Month
    evaluated: Month
    months: set[Month]
    status: AlertStatus = AlertStatus.TRIGGERED
    resolution: Resolution | None = None
    last_seen: str = Condition.ALERTING
    reopened: int = 0

    @property
    def is_open(self) -> bool:
        """Whether somebody may work on it."""
        return self.status is not AlertStatus.RESOLVED

    def hears(self, month: Month) -> bool:
        """Whether a month has the last word of it."""
        return self.is_open and self.evaluated <= month

    def say(self, month: Month, last_seen: str) -> None:
        """Let a month have the last word."""
        self.evaluated, self.last_seen = month, last_seen

    def resolve(self, resolution: Resolution) -> None:
        """Let it be over."""
        self.status, self.resolution = AlertStatus.RESOLVED, resolution

    def reopen(self) -> None:
        """Let people work on it again."""
        self.status, self.resolution, self.reopened = AlertStatus.TRIGGERED, None, self.reopened + 1

    def facts(self) -> tuple[str, ...]:
        """Return what a row of `alerts` must say."""
        facts = self.began, self.last, self.evaluated, self.status, self.resolution, self.last_seen
        return (*map(str, facts), str(self.reopened))


@dataclass
class Model:
    """All alerts of a tenant and a source, by what one run after the other says."""

    alerts: dict[str, list[Modelled]] = field(default_factory=lambda: {name: [] for name in ACCOUNTS})
    messages: dict[tuple[str, Month], DeliveryStatus] = field(default_factory=dict)
    """What became of each occurrence."""

    def of(self, name: str, month: Month) -> Modelled:
        """Return the alert that an occurrence belongs to."""
        (one,) = (one for one in self.alerts[name] if month in one.months)
        return one

    def watched(self, month: Month) -> set[str]:
        """Return the accounts with an open alert that the month has the last word of."""
        return {name for name, known in self.alerts.items() if any(one.hears(month) for one in known)}

    def run(self, month: Month, data: Data) -> None:
        """Take in what a run of a month finds; what it has to send is `pending` then."""
        found = {name for name in self.alerts if data[name, month] == ALERTING}
        known = {name for name, period in self.messages if period == month}
        for name in found & known:
            self._is_found_again(name, month)
        for name in found - known:
            self._joins(name, month, began_of(data, name, month))
        for name in found:
            if self.messages.get((name, month)) not in {DeliveryStatus.SENT, DeliveryStatus.UNKNOWN}:
                self.messages[name, month] = DeliveryStatus.PENDING
        for name in known - found:
            self._is_taken_back(name, month)
        for name in found:
            one = self.of(name, month)
            if one.hears(month) and one.last_seen != Condition.ALERTING:
                one.say(month, Condition.ALERTING)
        for name in self.alerts.keys() - found:
            self._does_not_alert(name, month, SAID[data[name, month]])

    def deliver(self, month: Month, status: DeliveryStatus) -> None:
        """Let what a run had to send come to this."""
        for name, period in self.messages:
            if period == month and self.messages[name, period] is DeliveryStatus.PENDING:
                self.messages[name, period] = status

    def takes(self, one: Modelled, name: str, step: AlertStep) -> AlertStatus | None:
        """Return where a person's step leads; None where it must not be taken."""
        newer = any(other.last > one.last or other.is_open for other in self.alerts[name] if other is not one)
        match step, one.status:
            case AlertStep.ACKNOWLEDGE, AlertStatus.TRIGGERED:
                return AlertStatus.ACKNOWLEDGED
            case AlertStep.UNACKNOWLEDGE, AlertStatus.ACKNOWLEDGED:
                return AlertStatus.TRIGGERED
            case AlertStep.RESOLVE, AlertStatus.TRIGGERED | AlertStatus.ACKNOWLEDGED:
                return AlertStatus.RESOLVED
            case AlertStep.REOPEN, AlertStatus.RESOLVED if not newer:
                return AlertStatus.TRIGGERED
        return None

    def take(self, one: Modelled, step: AlertStep, end: AlertStatus) -> None:
        """Take a person's step."""
        if step is AlertStep.REOPEN:
            one.reopen()
        elif end is AlertStatus.RESOLVED:
            one.resolve(Resolution.PERSON)
        else:
            one.status = end

    def _is_found_again(self, name: str, month: Month) -> None:
        """Reopen what the same month took back before; what a person resolved stays so."""
        one = self.of(name, month)
        is_over = one.resolution in {Resolution.WITHDRAWN, Resolution.RECOVERED}
        is_newest = one.last == max(other.last for other in self.alerts[name])
        reopens = is_over and is_newest and one.evaluated <= month
        was_taken_back = self.messages[name, month] is DeliveryStatus.WITHDRAWN
        if (reopens or (one.is_open and was_taken_back)) and one.evaluated <= month:
            one.say(month, Condition.ALERTING)
        if reopens:
            one.reopen()

    def _joins(self, name: str, month: Month, began: Month) -> None:
        known = self.alerts[name]
        how, other = join(_asked(known), began=str(began), period=str(month))
        if other is None or how in {Joining.CREATE, Joining.CREATE_ENDED}:
            known.append(Modelled(began=began, last=month, evaluated=month, months={month}))
            if how is Joining.CREATE_ENDED:
                known[-1].resolve(Resolution.RECOVERED)
            return
        one = known[int(other.alert_id)]
        one.months.add(month)
        one.began, one.last = min(one.began, began), max(one.last, month)
        if month >= one.evaluated:
            one.say(month, Condition.ALERTING)
        if how is Joining.REOPEN:
            one.reopen()

    def _is_taken_back(self, name: str, month: Month) -> None:
        """Take back what never left, and end its alert once that is all of it."""
        if self.messages[name, month] is not DeliveryStatus.PENDING:
            return
        self.messages[name, month] = DeliveryStatus.WITHDRAWN
        one = self.of(name, month)
        left = {self.messages[name, each] for each in one.months} - {DeliveryStatus.WITHDRAWN}
        if one.is_open and not left:
            one.resolve(Resolution.WITHDRAWN)

    def _does_not_alert(self, name: str, month: Month, condition: Condition) -> None:
        for one in self.alerts[name]:
            if one.hears(month) and (one.last_seen, one.evaluated) != (condition, month):
                one.say(month, condition)
                if condition is Condition.RECOVERED:
                    one.resolve(Resolution.RECOVERED)


def began_of(data: Data, name: str, month: Month) -> Month:
    """Return the first month of the streak At Risk that a month is part of."""
    while month > MONTHS[0] and data[name, month.minus(1)] in {ALERTING, BELOW}:
        month = month.minus(1)
    return month


def _asked(known: list[Modelled]) -> Iterator[KnownAlert]:
    for place, one in enumerate(known):
        yield KnownAlert(
            alert_id=str(place),
            status=one.status,
            resolution=one.resolution,
            began=str(one.began),
            last_period=str(one.last),
            evaluated_period=str(one.evaluated),
        )
