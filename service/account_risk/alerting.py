"""The rules: which of the accounts At Risk are alerted, in which order, and what looks odd."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.account_risk.account_at_risk import AccountAtRisk, Criteria
from service.account_risk.attributes import Attributes
from service.domain.evaluation import RunWarning
from service.sources.parquet.columns import Ints
from service.sources.parquet.text import identifiers, texts

AT_RISK: Final = b"At Risk"
_ALMOST_AT_RISK: Final = r"(?i)^[\s\pZ]*at[\s\pZ\p{Pd}_]*risk[\s\pZ]*$"


def is_at_risk(statuses: Any) -> Any:
    """Return which of these statuses (bytes) are exactly `At Risk`."""
    return pc.equal(statuses, pa.scalar(AT_RISK, statuses.type))


def is_nearly_at_risk(statuses: Any) -> Any:
    """Return which of these statuses (bytes) are `At Risk` but for case, spaces and hyphens."""
    # As text, for there are more spaces than ASCII has.
    nearly = pc.match_substring_regex(texts(statuses), _ALMOST_AT_RISK)
    return pc.and_not(nearly, is_at_risk(statuses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The alerts, and what became of the other accounts At Risk."""

    alerts: tuple[AccountAtRisk, ...]
    at_risk: int
    below_threshold: int
    unknown_arr: int
    """Withheld because their ARR is unknown."""
    warnings: tuple[RunWarning, ...]


def select(at_risk: Attributes, durations: Callable[[Ints], Ints], criteria: Criteria) -> Selection:
    """Turn rows At Risk into alerts; `durations` gives for how many months accounts have been At Risk."""
    accounts = at_risk.winners()
    known, meets_threshold = at_risk.arr_known[accounts], at_risk.meets_threshold[accounts]
    alerting = (
        accounts[meets_threshold | ~known] if criteria.alert_on_unknown_arr else accounts[meets_threshold]
    )
    return Selection(
        alerts=_alerts(at_risk, alerting, durations(at_risk.accounts[alerting]), criteria),
        at_risk=accounts.size,
        below_threshold=int(np.count_nonzero(known & ~meets_threshold)),
        unknown_arr=0 if criteria.alert_on_unknown_arr else int(np.count_nonzero(~known)),
        warnings=tuple(_warning_about_arr(int(np.count_nonzero(at_risk.arr_out_of_range[accounts])))),
    )


def _alerts(
    at_risk: Attributes, alerting: Ints, durations: Ints, criteria: Criteria
) -> tuple[AccountAtRisk, ...]:
    ids = identifiers(at_risk.ids.take(pa.array(alerting)))
    order = at_risk.order(alerting, ids)
    rows = pa.array(alerting[order])
    window = criteria.month.index - criteria.first_month.index + 1
    starts = [criteria.month.minus(duration - 1) for duration in range(window + 1)]
    return tuple(
        AccountAtRisk(
            account_id=account_id,
            account_name=account_id if name is None else name,
            account_region=region,
            month=criteria.month,
            duration_months=duration,
            duration_is_minimum=duration == window,
            risk_start_month=starts[duration],
            arr=arr if known else None,
            renewal_date=renewal,
            account_owner=owner,
            tenant_id=criteria.tenant_id,
        )
        for account_id, name, region, duration, arr, known, renewal, owner in zip(
            [ids[place] for place in order.tolist()],
            at_risk.names.take(rows).to_pylist(),
            at_risk.regions.take(rows).to_pylist(),
            durations[order].tolist(),
            at_risk.arr[alerting][order].tolist(),
            at_risk.arr_known[alerting][order].tolist(),
            # By way of NumPy, which makes dates thirty times faster.
            at_risk.renewals.take(rows).to_numpy(zero_copy_only=False).tolist(),
            at_risk.owners.take(rows).to_pylist(),
            strict=True,
        )
    )


def _warning_about_arr(count: int) -> Iterable[RunWarning]:
    if count:
        yield RunWarning(
            code="arr_out_of_range",
            count=count,
            detail=f"{count} accounts At Risk have an ARR beyond 64 bits, which counts as unknown.",
        )


def near_miss_warnings(statuses: int, account_ids: list[str]) -> Iterable[RunWarning]:
    """Warn of rows whose status, and of accounts At Risk whose ids, differ by case or spaces alone.

    Ids (distinct) are compared among the accounts with an At Risk row of the target month: an alert may be
    about any of them.
    """
    if statuses:
        yield RunWarning(
            code="near_miss_status",
            count=statuses,
            detail=f"{statuses} rows have a status that is 'At Risk' but for case, spaces or hyphens; "
            "not At Risk.",
        )
    alike = _alike(account_ids)
    if alike:
        count = sum(len(ids) for ids in alike)
        example = " and ".join(repr(one[:40]) for one in sorted(min(alike, key=min))[:2])
        yield RunWarning(
            code="near_miss_account_id",
            count=count,
            detail=f"{count} account ids differ from another by case or spaces alone, such as {example}.",
        )


def _alike(account_ids: list[str]) -> list[list[str]]:
    """Group ids that are equal but for case and surrounding spaces; only groups of two and more."""
    folded = pc.ascii_lower(pc.ascii_trim_whitespace(pa.array(account_ids, pa.large_string())))
    if pc.all(pc.string_is_ascii(folded)).as_py() and pc.count_distinct(folded).as_py() == len(account_ids):
        return []
    groups: dict[str, list[str]] = defaultdict(list)
    for account_id in account_ids:
        groups[account_id.strip().casefold()].append(account_id)
    return [ids for ids in groups.values() if len(ids) > 1]
