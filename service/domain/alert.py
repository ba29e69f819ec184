"""The alert: what a customer-success team must hear about one account in one month."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final

from service.domain.month import Month

RISK_ALERT: Final = "risk_alert"
"""The one alert type there is; part of an alert's identity so that others can stand beside it."""


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

    @property
    def first_month(self) -> Month:
        """The first month of the window; a source cannot hold months before the year 1."""
        return max(self.month.minus(self.history_months - 1), Month(12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An account At Risk in `month` and worth telling about, as the newest row of that month has it."""

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

    @property
    def alert_id(self) -> str:
        """The same for the same account and month in every run, on every machine: 32 hex digits."""
        identity = "\x1f".join((RISK_ALERT, str(self.month), self.account_id))
        return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
