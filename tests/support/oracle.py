"""The oracle: the rules in the plainest Python there is, to hold the fold against.

Written from the specification alone and made to be obviously right, not fast: it keeps every row, and asks
every question of all of them. It must never import anything of service/ but the nouns.

Where the specification leaves a choice, this is what is chosen here, so that it is decided in one place:

- `arr` outside int64 is unknown before anything else looks at it; so are NaN and the infinities.
- The threshold and ties compare the exact `arr`; alerts show it rounded, halves away from zero as people do,
  and are ordered by what they show.
- Names, regions and owners of more than 4 KB are cut before anything looks at them.
- A null name is last among ties, as a null name; only the alert shows the id in its place. A blank name
  is a null one.
- A target month without a single valid row is not in the source, whatever else the source holds of it.
- The first and last month that a source has are over all its rows with a month, valid or not, in the window
  or not.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeAlias

from service.account_risk.account_at_risk import AccountAtRisk, Criteria
from service.account_risk.row_ledger import InvalidRow, MonthlyRows
from service.domain.evaluation import Condition
from service.domain.month import Month

Row: TypeAlias = Mapping[str, Any]
"""The columns by name; `month` and `renewal_date` are dates, `updated_at` is nanoseconds since 1970 UTC."""

AT_RISK = "At Risk"
_INT64 = range(-(2**63), 2**63)
_ID_BYTES = 1_024
_TEXT_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What any right evaluation of the same rows must answer."""

    alerts: tuple[AccountAtRisk, ...]
    rows: MonthlyRows
    """Its `invalid` has the reasons that occurred, in the order of the checks."""
    conditions: Mapping[str, Condition]
    """Of every account with a valid row of the target month."""


class MonthNotInSourceError(Exception):
    """No valid row is of the target month; carries the first and last month that there are."""

    def __init__(self, first: Month | None, last: Month | None) -> None:
        super().__init__(f"{first} to {last}")
        self.first = first
        self.last = last


def evaluate(rows: Iterable[Row], criteria: Criteria) -> Expected:
    """Return the alerts and the ledger of `rows`; raises MonthNotInSourceError."""
    rows = list(rows)
    checked = [(validated(row, criteria), row) for row in rows]
    scanned = [(found, row) for found, row in checked if found != "outside_window"]
    invalid = {reason: sum(found is reason for found, _ in scanned) for reason in InvalidRow}
    by_account_month: dict[tuple[str, Month], list[Row]] = defaultdict(list)
    for found, row in scanned:
        if found == "valid":
            by_account_month[row["account_id"], Month.of(row["month"])].append(row)
    winners = {key: max(contenders, key=_precedence) for key, contenders in by_account_month.items()}
    if not any(month == criteria.month for _, month in winners):
        months = sorted(Month.of(row["month"]) for row in rows if row["month"] is not None)
        raise MonthNotInSourceError(*((months[0], months[-1]) if months else (None, None)))

    at_risk = [
        row for (_, month), row in winners.items() if month == criteria.month and row["status"] == AT_RISK
    ]
    unknown = [row for row in at_risk if known_arr(row["arr"]) is None]
    withheld = [] if criteria.alert_on_unknown_arr else unknown
    enough = [row for row in at_risk if _meets_threshold(row, criteria.arr_threshold)]
    alerting = enough + [row for row in unknown if criteria.alert_on_unknown_arr]
    alerts = sorted((_alert(row, winners, criteria) for row in alerting), key=_most_arr_first)
    ledger = MonthlyRows(
        rows_in_source=len(rows),
        outside_window=len(rows) - len(scanned),
        rows_scanned=len(scanned),
        invalid={reason: count for reason, count in invalid.items() if count},
        duplicates=sum(len(contenders) - 1 for contenders in by_account_month.values()),
        account_months=len(winners),
        at_risk=len(at_risk),
        below_threshold=len(at_risk) - len(enough) - len(unknown),
        unknown_arr=len(withheld),
        alerts=len(alerts),
    )
    ledger.check()
    conditions = {account_id: Condition.RECOVERED for account_id, month in winners if month == criteria.month}
    conditions |= {row["account_id"]: Condition.BELOW_THRESHOLD for row in at_risk}
    conditions |= {row["account_id"]: Condition.UNKNOWN_ARR for row in unknown}
    conditions |= {row["account_id"]: Condition.ALERTING for row in alerting}
    return Expected(alerts=tuple(alerts), rows=ledger, conditions=conditions)


def validated(row: Row, criteria: Criteria) -> InvalidRow | str:
    """Return the first that applies: a null month, `outside_window`, another invalidity, `valid`."""
    month = row["month"]
    if month is None:
        return InvalidRow.MONTH_NULL
    if month < criteria.first_month.first_day or month > criteria.month.last_day:
        return "outside_window"
    if month.day != 1:
        return InvalidRow.MONTH_NOT_FIRST_OF_MONTH
    if not row["account_id"]:
        return InvalidRow.ACCOUNT_ID_NULL_OR_EMPTY
    if len(row["account_id"].encode()) > _ID_BYTES:
        return InvalidRow.ACCOUNT_ID_TOO_LONG
    return "valid"


def known_arr(arr: float | Decimal | None) -> int | Decimal | None:
    """Return the exact value, or None where it is null, not a number, or outside int64."""
    if arr is None or not math.isfinite(arr):
        return None
    exact = arr if isinstance(arr, int) else Decimal(arr)
    return exact if _INT64[0] <= exact <= _INT64[-1] else None


def _precedence(row: Row) -> tuple[Any, ...]:
    """Return the larger for the winner: some instant, the later one, At Risk, then the attributes."""
    instant, arr = row["updated_at"], known_arr(row["arr"])
    return (
        instant is not None,
        0 if instant is None else instant,
        row["status"] == AT_RISK,
        arr is not None,
        0 if arr is None else arr,
        _Ascending(_name(row)),
        _Ascending(_text(row["account_region"])),
        _Ascending(_text(row["account_owner"])),
        _Ascending(row["renewal_date"]),
    )


@dataclass(frozen=True, slots=True)
class _Ascending:
    """Turns an ascending order, null last, into one in which the winner is the maximum."""

    value: Any

    def __lt__(self, other: "_Ascending") -> bool:
        if self.value is None or other.value is None:
            return self.value is None and other.value is not None
        return bool(self.value > other.value)


def _meets_threshold(row: Row, threshold: int) -> bool:
    arr = known_arr(row["arr"])
    return arr is not None and arr >= threshold


def _alert(row: Row, winners: Mapping[tuple[str, Month], Row], criteria: Criteria) -> AccountAtRisk:
    account_id, arr = row["account_id"], known_arr(row["arr"])
    start = criteria.month
    while start > criteria.first_month:
        before = winners.get((account_id, start.minus(1)))
        if before is None or before["status"] != AT_RISK:
            break
        start = start.minus(1)
    return AccountAtRisk(
        account_id=account_id,
        account_name=_name(row) or account_id,
        account_region=_text(row["account_region"]),
        month=criteria.month,
        duration_months=criteria.month.index - start.index + 1,
        duration_is_minimum=start == criteria.first_month,
        risk_start_month=start,
        arr=None if arr is None else int(Decimal(arr).to_integral_value(ROUND_HALF_UP)),
        renewal_date=row["renewal_date"],
        account_owner=_text(row["account_owner"]),
    )


def _name(row: Row) -> str | None:
    name = _text(row["account_name"])
    return None if name is None or not name.strip() else name


def _text(value: str | None) -> str | None:
    if value is None or len(value.encode()) <= _TEXT_BYTES:
        return value
    ellipsis = "…"
    return value.encode()[: _TEXT_BYTES - len(ellipsis.encode())].decode(errors="ignore") + ellipsis


def _most_arr_first(alert: AccountAtRisk) -> tuple[bool, int, str]:
    return alert.arr is None, -(alert.arr or 0), alert.account_id
