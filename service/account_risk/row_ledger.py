"""The row ledger: what became of the monthly rows of a source, from rows to alerts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from service.domain.ledger import balance


class InvalidRow(StrEnum):
    """Why a row of the window (or one without a month) was not used, in the order of the checks."""

    MONTH_NULL = "month_null"
    MONTH_NOT_FIRST_OF_MONTH = "month_not_first_of_month"
    ACCOUNT_ID_NULL_OR_EMPTY = "account_id_null_or_empty"
    ACCOUNT_ID_TOO_LONG = "account_id_too_long"
    """Of more than 1 KB: databases and links have no room for it."""
    OTHER = "other"
    """One that another version of the service wrote down and this one does not know."""

    @classmethod
    def _missing_(cls, _: object) -> "InvalidRow":
        return cls.OTHER


def known_reasons(invalid: Mapping[str, int]) -> dict[InvalidRow, int]:
    """Return counts by reason, those of reasons that this version does not know together."""
    known: Counter[InvalidRow] = Counter()
    for reason, count in invalid.items():
        known[InvalidRow(reason)] += count
    return dict(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidSample:
    """One row that could not be used, shown so that a data team can find it."""

    reason: InvalidRow
    file: str
    """Path inside the source."""
    account_id: str | None
    month: str | None
    """As it stands in the source, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyRows:
    """What became of the rows of a source.

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
        balance("rows_in_source", self.rows_in_source, self.outside_window, self.rows_scanned)
        balance(
            "rows_scanned",
            self.rows_scanned,
            sum(self.invalid.values()),
            self.duplicates,
            self.account_months,
        )
        balance("at_risk", self.at_risk, self.below_threshold, self.unknown_arr, self.alerts)

    def values(self) -> dict[str, Any]:
        """Return the counts as plain values for JSON."""
        return asdict(self) | {"invalid": {str(reason): count for reason, count in self.invalid.items()}}
