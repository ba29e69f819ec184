"""The ledger: every run accounts for every row and every alert, and the sums must hold."""

from dataclasses import dataclass, field
from enum import StrEnum

from service.domain.delivery_status import Outcome
from service.domain.errors import LedgerImbalanceError


class InvalidRow(StrEnum):
    """Why a row of the window (or one without a month) was not used, in the order of judgement."""

    MONTH_NULL = "month_null"
    MONTH_NOT_FIRST_OF_MONTH = "month_not_first_of_month"
    ACCOUNT_ID_NULL_OR_EMPTY = "account_id_null_or_empty"
    OTHER = "other"
    """One that another version of the service wrote down and this one does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLedger:
    """What became of the rows of a source: from rows to alerts.

    `rows_scanned` counts the rows in the window plus the rows whose month is null, not the rows that happened
    to be decoded, so that it does not depend on how a file was laid out.
    """

    rows_in_source: int
    outside_window: int
    rows_scanned: int
    invalid: dict[InvalidRow, int] = field(default_factory=dict)
    duplicates: int
    """Valid rows of the window that lost against another row of the same account and month."""
    account_months: int
    """Distinct accounts times months in the window."""
    at_risk: int
    """Accounts whose row of the target month is At Risk."""
    below_threshold: int
    unknown_arr: int
    """Accounts withheld because their ARR is unknown; 0 when they are alerted."""
    alerts: int

    def check(self) -> None:
        """Raise LedgerImbalanceError unless the rows add up."""
        _balance("rows_in_source", self.rows_in_source, self.outside_window, self.rows_scanned)
        _balance(
            "rows_scanned",
            self.rows_scanned,
            sum(self.invalid.values()),
            self.duplicates,
            self.account_months,
        )
        _balance("at_risk", self.at_risk, self.below_threshold, self.unknown_arr, self.alerts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The whole ledger of a run: its rows, and what was done about each of its alerts."""

    rows: RowLedger
    outcomes: dict[Outcome, int]

    def check(self) -> None:
        """Raise LedgerImbalanceError unless rows and alerts add up and no alert is left undecided."""
        self.rows.check()
        if self.outcomes.get(Outcome.PENDING):
            raise LedgerImbalanceError(f"{self.outcomes[Outcome.PENDING]} alerts have no outcome")
        _balance("alerts", self.rows.alerts, *self.outcomes.values())


def _balance(name: str, whole: int, *parts: int) -> None:
    if whole != sum(parts):
        raise LedgerImbalanceError(f"{name} is {whole}, but its parts {parts} add up to {sum(parts)}")
