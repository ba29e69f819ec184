"""The account at risk: what makes an account's month an alert, and that alert."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from service.domain.alert import Alert, Fact, alert_id_of
from service.domain.month import Month
from service.domain.tenant import DEFAULT_TENANT

RISK_ALERT: Final = "risk_alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What makes an account's month an alert."""

    month: Month
    """The target month."""
    arr_threshold: int = 10_000
    """Accounts with an ARR below this are not alerted; in the currency unit of the source."""
    alert_on_unknown_arr: bool = False
    """Whether an account whose ARR is unknown is alerted all the same."""
    history_months: int = 120
    """How many months, the target included, are looked at; at least 1."""
    tenant_id: str = DEFAULT_TENANT
    """Whose alerts they are: part of their ids."""

    @property
    def first_month(self) -> Month:
        """The first month of the window; a source cannot hold months before the year 1."""
        return max(self.month.minus(self.history_months - 1), Month(12))

    def values(self) -> dict[str, Fact]:
        """Return them as plain values."""
        return {
            "month": str(self.month),
            "arr_threshold": self.arr_threshold,
            "alert_on_unknown_arr": self.alert_on_unknown_arr,
            "history_months": self.history_months,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAtRisk:
    """An account At Risk in `month` and worth an alert, as the newest row of that month has it."""

    account_id: str
    account_name: str
    """The account's id where the source has no name."""
    account_region: str | None
    """As in the source, untouched: routing matches it exactly."""
    month: Month
    duration_months: int
    """Consecutive months At Risk up to and including `month`; at least 1."""
    duration_is_minimum: bool
    """Whether the streak reached the edge of history, so that it may be longer than is known."""
    risk_start_month: Month
    arr: int | None
    """Rounded to a whole currency unit; None where it is unknown."""
    renewal_date: date | None
    account_owner: str | None
    tenant_id: str = DEFAULT_TENANT

    @property
    def alert_id(self) -> str:
        """The same for the same account and month in every run, on every machine: 32 hex digits."""
        return alert_id_of(
            tenant_id=self.tenant_id, alert_type=RISK_ALERT, subject=self.account_id, period=self.period
        )

    @property
    def alert_type(self) -> str:
        """The one type that this is."""
        return RISK_ALERT

    @property
    def subject(self) -> str:
        """The account's id."""
        return self.account_id

    @property
    def period(self) -> str:
        """The month, as its first day."""
        return str(self.month)

    @property
    def route(self) -> str | None:
        """The account's region."""
        return self.account_region

    @property
    def facts(self) -> dict[str, Fact]:
        """Everything else."""
        return {
            "account_name": self.account_name,
            "duration_months": self.duration_months,
            "duration_is_minimum": self.duration_is_minimum,
            "risk_start_month": str(self.risk_start_month),
            "arr": self.arr,
            "renewal_date": None if self.renewal_date is None else self.renewal_date.isoformat(),
            "account_owner": self.account_owner,
        }

    @classmethod
    def of(cls, alert: Alert) -> "AccountAtRisk":
        """Return the account that an alert of this type is about, which may have been read back."""
        if isinstance(alert, cls):
            return alert
        facts: dict[str, Any] = dict(alert.facts)
        renewal = facts["renewal_date"]
        return cls(
            account_id=alert.subject,
            account_name=facts["account_name"],
            account_region=alert.route,
            month=Month.parse(alert.period),
            duration_months=facts["duration_months"],
            duration_is_minimum=facts["duration_is_minimum"],
            risk_start_month=Month.parse(facts["risk_start_month"]),
            arr=facts["arr"],
            renewal_date=renewal and date.fromisoformat(renewal),
            account_owner=facts["account_owner"],
        )
