"""The rules: which of the accounts At Risk are worth telling about, in which order, and what looks odd."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from service.alert import Alert, Criteria
from service.columns import Exact, rounded
from service.evaluation import RunWarning

AT_RISK: Final = b"At Risk"
_ALMOST_AT_RISK: Final = r"(?i)^[\s\pZ]*at[\s\pZ]*risk[\s\pZ]*$"


def is_at_risk(statuses: Any) -> Any:
    """Return which of these statuses (bytes) are exactly `At Risk`."""
    return pc.equal(statuses, pa.scalar(AT_RISK, statuses.type))


def is_nearly_at_risk(statuses: Any) -> Any:
    """Return which of these statuses (bytes) are `At Risk` but for case and spaces."""
    nearly = pc.match_substring_regex(statuses, _ALMOST_AT_RISK)
    return pc.and_not(nearly, is_at_risk(statuses))


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRiskRow:
    """A row of the target month that is At Risk and that no later row overrules."""

    account: int
    """The account's number in the account index."""
    account_id: str
    arr: Exact | None
    """As in the source; None where it is null."""
    name: str | None
    region: str | None
    owner: str | None
    renewal_date: date | None

    @property
    def known_arr(self) -> Exact | None:
        """The ARR, unless it is no number, or too large for one."""
        return None if self.arr is None or rounded(self.arr) is None else self.arr

    @property
    def strange_arr(self) -> bool:
        """Whether there is an ARR, but not one that 64 bits can hold; NaN is as good as null."""
        return self.arr is not None and self.arr == self.arr and self.known_arr is None

    def rank(self) -> tuple[Any, ...]:
        """Sort rows of one account and instant: the smallest is the one that counts."""
        arr = self.known_arr
        texts = ((text is None, text or "") for text in (self.name, self.region, self.owner))
        renewal = (self.renewal_date is None, self.renewal_date or date.max)
        return (arr is None, -(arr or 0), *texts, *renewal, not self.strange_arr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The alerts, and what became of the other accounts At Risk."""

    alerts: tuple[Alert, ...]
    below_threshold: int
    unknown_arr: int
    warnings: tuple[RunWarning, ...]


def winners(rows: Iterable[AtRiskRow]) -> list[AtRiskRow]:
    """Keep one row for each account; where several tie, their attributes decide, never their place."""
    best: dict[int, AtRiskRow] = {}
    for row in rows:
        other = best.setdefault(row.account, row)
        if other is not row and row.rank() < other.rank():
            best[row.account] = row
    return list(best.values())


def judge(rows: Sequence[AtRiskRow], durations: Sequence[int], criteria: Criteria) -> Judged:
    """Turn the accounts At Risk (one row each) and how many months they have been so into alerts."""
    alerts = []
    below = withheld = strange = 0
    for row, duration in zip(rows, durations, strict=True):
        arr = row.known_arr
        if arr is None:
            strange += row.strange_arr
            withheld += not criteria.alert_on_unknown_arr
        elif arr < criteria.arr_threshold:
            below += 1
        if criteria.alert_on_unknown_arr if arr is None else arr >= criteria.arr_threshold:
            alerts.append(_alert(row, duration, criteria))
    return Judged(
        alerts=tuple(sorted(alerts, key=_most_arr_first)),
        below_threshold=below,
        unknown_arr=withheld,
        warnings=tuple(_warning_about_arr(strange)),
    )


def _alert(row: AtRiskRow, duration: int, criteria: Criteria) -> Alert:
    arr = row.known_arr
    return Alert(
        account_id=row.account_id,
        account_name=row.account_id if row.name is None else row.name,
        account_region=row.region,
        month=criteria.month,
        duration_months=duration,
        duration_is_minimum=duration == criteria.month.index - criteria.first_month.index + 1,
        risk_start_month=criteria.month.minus(duration - 1),
        arr=None if arr is None else rounded(arr),
        renewal_date=row.renewal_date,
        account_owner=row.owner,
    )


def _most_arr_first(alert: Alert) -> tuple[bool, int, str]:
    return alert.arr is None, -(alert.arr or 0), alert.account_id


def _warning_about_arr(count: int) -> Iterable[RunWarning]:
    if count:
        yield RunWarning(
            code="arr_out_of_range",
            count=count,
            detail=f"{count} accounts At Risk have an ARR beyond 64 bits, which counts as unknown.",
        )


def near_miss_warnings(statuses: int, account_ids: Iterable[str]) -> Iterable[RunWarning]:
    """Warn of rows whose status, and of accounts At Risk whose ids, differ by case or spaces alone.

    Ids are compared among the accounts with an At Risk row of the target month: those an alert may be about.
    """
    if statuses:
        yield RunWarning(
            code="near_miss_status",
            count=statuses,
            detail=f"{statuses} rows have a status that is 'At Risk' but for case or spaces; not At Risk.",
        )
    alike: dict[str, set[str]] = defaultdict(set)
    for account_id in account_ids:
        alike[account_id.strip().casefold()].add(account_id)
    groups = [ids for ids in alike.values() if len(ids) > 1]
    if groups:
        count = sum(len(ids) for ids in groups)
        example = " and ".join(repr(one[:40]) for one in sorted(min(groups, key=min))[:2])
        yield RunWarning(
            code="near_miss_account_id",
            count=count,
            detail=f"{count} account ids differ from another by case or spaces alone, such as {example}.",
        )
