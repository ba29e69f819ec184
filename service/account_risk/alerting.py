"""The rules: which of the accounts At Risk are alerted, in which order, and what looks odd."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import repeat
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.account_risk.account_at_risk import AccountAtRisk, Criteria
from service.domain.evaluation import Condition, RunWarning
from service.sources.parquet.columns import Ints, Mask
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


def select(at_risk: pa.Table, durations: Ints, criteria: Criteria) -> Selection:
    """Turn candidates that are At Risk into alerts; `durations` is for how many months each of them is."""
    known = at_risk["arr"].is_valid().to_numpy()
    # Python compares with a threshold of any size.
    meets_threshold = known & (at_risk["arr_floor"].fill_null(0).to_numpy() >= criteria.arr_threshold)
    alerting = np.flatnonzero(meets_threshold | ~known if criteria.alert_on_unknown_arr else meets_threshold)
    return Selection(
        alerts=_alerts(at_risk, alerting, durations, criteria),
        at_risk=at_risk.num_rows,
        below_threshold=int(np.count_nonzero(known & ~meets_threshold)),
        unknown_arr=0 if criteria.alert_on_unknown_arr else int(np.count_nonzero(~known)),
        warnings=tuple(_warnings(at_risk)),
    )


def _alerts(
    at_risk: pa.Table, alerting: Ints, durations: Ints, criteria: Criteria
) -> tuple[AccountAtRisk, ...]:
    ids = identifiers(at_risk["id"].take(pa.array(alerting)))
    order = _order(at_risk["arr"].take(pa.array(alerting)), ids)
    chosen = alerting[order]
    rows = at_risk.select(["name", "region", "owner", "renewal", "arr"]).take(pa.array(chosen))
    known = rows["arr"].is_valid().to_numpy()
    window = criteria.month.index - criteria.first_month.index + 1
    starts = [criteria.month.minus(duration - 1) for duration in range(window + 1)]
    names, account_ids = rows["name"].to_pylist(), [ids[place] for place in order.tolist()]
    # By way of NumPy, which makes numbers faster, and dates thirty times faster.
    arr, renewals = rows["arr"].fill_null(0).to_numpy().tolist(), rows["renewal"].to_numpy().tolist()
    lasted = durations[chosen].tolist()
    return _made(
        chosen.size,
        account_id=account_ids,
        account_name=[one if name is None else name for one, name in zip(account_ids, names, strict=True)],
        account_region=rows["region"].to_pylist(),
        month=repeat(criteria.month),
        duration_months=lasted,
        duration_is_minimum=[months == window for months in lasted],
        risk_start_month=[starts[months] for months in lasted],
        arr=[one if is_known else None for one, is_known in zip(arr, known.tolist(), strict=True)],
        renewal_date=renewals,
        account_owner=rows["owner"].to_pylist(),
        tenant_id=repeat(criteria.tenant_id),
    )


def _made(count: int, **columns: Iterable[Any]) -> tuple[AccountAtRisk, ...]:
    """Make so many accounts At Risk of one value of each column.

    Field by field, as the frozen class's own constructor takes three to four times as long.
    """
    made = tuple(AccountAtRisk.__new__(AccountAtRisk) for _ in range(count))
    for field in fields(AccountAtRisk):
        deque(map(getattr(AccountAtRisk, field.name).__set__, made, columns[field.name]), maxlen=0)
    return made


def conditions(
    watched: Sequence[str], seen: Mask, at_risk: pa.Table, selected: Selection
) -> dict[str, Condition]:
    """Say what those of the accounts that are `watched` are in the month that do not alert.

    `seen` says of each whether the month has a row of it; `at_risk` are the candidates that are At Risk.
    """
    if not watched:
        return {}
    names = set(watched)
    known = at_risk["arr"].is_valid().to_pylist()
    withheld = {
        account_id: Condition.BELOW_THRESHOLD if is_known else Condition.UNKNOWN_ARR
        for account_id, is_known in zip(identifiers(at_risk["id"]), known, strict=True)
        if account_id in names
    }
    alerting = names.intersection(alert.account_id for alert in selected.alerts)
    return {
        account_id: withheld.get(account_id) or (Condition.RECOVERED if is_seen else Condition.NOT_SEEN)
        for account_id, is_seen in zip(watched, seen.tolist(), strict=True)
        if account_id not in alerting
    }


def _order(arr: Any, ids: list[str]) -> Ints:
    """Return the places of accounts by ARR descending, unknown last, then by the text of their ids."""
    keys = pa.table({"arr": arr, "id": pa.array(ids, pa.large_string())})
    by = [("arr", "descending"), ("id", "ascending")]
    order: Ints = pc.sort_indices(keys, by).to_numpy().astype(np.int64)
    return order


def _warnings(at_risk: pa.Table) -> Iterable[RunWarning]:
    if count := pc.sum(at_risk["arr_out_of_range"]).as_py():
        detail = f"{count} accounts At Risk have an ARR beyond 64 bits, which counts as unknown."
        yield RunWarning(code="arr_out_of_range", count=count, detail=detail)
    if count := pc.sum(at_risk["is_cut"]).as_py():
        detail = f"{count} accounts At Risk have a name, region or owner of more than 4 KB, which was cut."
        yield RunWarning(code="text_cut", count=count, detail=detail)


def near_miss_warnings(statuses: int, account_ids: list[str]) -> Iterable[RunWarning]:
    """Warn of rows whose status, and of accounts At Risk whose ids, differ by case or spaces alone."""
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
