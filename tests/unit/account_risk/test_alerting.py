"""The rules: who alerts, in which order, and which of several rows that tie speaks for an account."""

import datetime as dt
from decimal import Decimal
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.account_risk.account_at_risk import Criteria
from service.account_risk.alerting import Selection, is_at_risk, is_nearly_at_risk, near_miss_warnings, select
from service.account_risk.attributes import Attributes
from service.domain.month import Month

CRITERIA = Criteria(month=Month.parse("2026-01-01"))
TYPES = {"account_name": pa.string(), "account_region": pa.string(), "account_owner": pa.string()}


def attributes(rows: list[dict[str, Any]], kind: pa.DataType, threshold: int = 10_000) -> Attributes:
    """Return rows At Risk, account 0 unless told otherwise."""
    batch = pa.record_batch(
        {
            "account_name": pa.array([row.get("name") for row in rows], pa.string()),
            "account_region": pa.array([row.get("region") for row in rows], pa.string()),
            "account_owner": pa.array([row.get("owner") for row in rows], pa.string()),
            "renewal_date": pa.array([row.get("renewal") for row in rows], pa.date32()),
            "arr": pa.array([row.get("arr") for row in rows], kind),
        }
    )
    accounts = np.array([row.get("account", 0) for row in rows], np.int64)
    ids = pa.array([f"a{account}".encode() for account in accounts.tolist()], pa.large_binary())
    return Attributes.of(accounts=accounts, ids=ids, rows=batch, threshold=threshold)


def selected(arrs: list[Any], kind: pa.DataType, **criteria: Any) -> Selection:
    """Select among one account for each ARR."""
    wanted = Criteria(month=CRITERIA.month, **criteria)
    rows = [{"account": n, "arr": arr} for n, arr in enumerate(arrs)]
    return select(attributes(rows, kind, wanted.arr_threshold), np.ones_like, wanted)


@pytest.mark.parametrize(
    ("kind", "just_below"),
    [
        (pa.int64(), 9_999),
        (pa.uint64(), 9_999),
        (pa.int16(), 9_999),
        (pa.float64(), 9_999.999),
        (pa.decimal128(20, 3), Decimal("9999.999")),
        (pa.decimal256(60, 3), Decimal("9999.999")),
    ],
    ids=str,
)
def test_the_threshold_is_exact_and_included(kind: pa.DataType, just_below: Any) -> None:
    """An ARR of the threshold alerts, the next smaller does not, though it would be rounded up."""
    answer = selected([10_000, just_below, None], kind)
    assert [alert.account_id for alert in answer.alerts] == ["a0"]
    assert (answer.at_risk, answer.below_threshold, answer.unknown_arr) == (3, 1, 1)


@pytest.mark.parametrize("threshold", [-(10**30), -1, 0, 10**30])
def test_the_threshold_is_any_integer(threshold: int) -> None:
    """Also one that no ARR can reach, or that every one does."""
    assert len(selected([0], pa.int64(), arr_threshold=threshold).alerts) == (threshold <= 0)


@pytest.mark.parametrize(
    ("exact", "shown"),
    [("0.5", 1), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("-2.4", -2), ("9223372036854775807", 2**63 - 1)],
)
def test_arr_is_shown_rounded_half_away_from_zero(exact: str, shown: int) -> None:
    """As people round."""
    alerts = selected([Decimal(exact)], pa.decimal128(38, 1), arr_threshold=-5).alerts
    assert [alert.arr for alert in alerts] == [shown]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(2**64 - 1, pa.uint64()), (float("inf"), pa.float64()), (Decimal(10**30), pa.decimal128(38, 0))],
    ids=str,
)
def test_an_arr_beyond_64_bits_is_unknown_and_warned_of(value: Any, kind: pa.DataType) -> None:
    """It alerts only where unknown ones do."""
    answer = selected([value], kind)
    assert (answer.alerts, answer.unknown_arr) == ((), 1)
    assert [warning.code for warning in answer.warnings] == ["arr_out_of_range"]
    alerted = selected([value], kind, alert_on_unknown_arr=True)
    assert [alert.arr for alert in alerted.alerts] == [None]
    assert alerted.unknown_arr == 0


def test_the_largest_arr_first_then_the_id() -> None:
    """What matters most arrives first; unknown ARRs come last."""
    answer = selected([10_000, None, 30_000, 10_000, 2**63 - 1], pa.int64(), alert_on_unknown_arr=True)
    assert [alert.account_id for alert in answer.alerts] == ["a4", "a2", "a0", "a3", "a1"]


@pytest.mark.parametrize(
    ("wins", "loses"),
    [
        ({"arr": 2}, {"arr": 1}),
        ({"arr": -1}, {"arr": None}),
        ({"name": "a"}, {"name": "b"}),
        ({"name": "b"}, {"name": None}),
        ({"region": "AMER"}, {"region": "EMEA"}),
        ({"owner": "Ann"}, {"owner": None}),
        ({"renewal": dt.date(2026, 1, 1)}, {"renewal": dt.date(2026, 1, 2)}),
        ({"renewal": dt.date.max}, {"renewal": None}),
        ({"arr": 2, "name": "b"}, {"arr": 1, "name": "a"}),
        ({"name": "a", "region": "b"}, {"name": "b", "region": "a"}),
        ({"region": "a", "owner": "b"}, {"region": "b", "owner": "a"}),
    ],
)
def test_attributes_decide_among_rows_that_tie(wins: dict[str, Any], loses: dict[str, Any]) -> None:
    """Largest ARR, then name, region, owner and renewal date ascending, null last; never the position."""
    for rows in permutations([wins, loses, loses]):
        tied = attributes(list(rows), pa.int64())
        assert [rows[entry] for entry in tied.winners().tolist()] == [wins]


def test_ties_compare_the_exact_arr() -> None:
    """Two ARRs that are shown alike are still not the same."""
    rows = [{"arr": Decimal("1.2"), "name": "a"}, {"arr": Decimal("1.4"), "name": "b"}]
    for order in permutations(rows):
        tied = attributes(list(order), pa.decimal128(10, 1))
        assert [order[entry]["name"] for entry in tied.winners().tolist()] == ["b"]


def test_streaks_that_reach_the_edge_of_history_are_minimums() -> None:
    """Nobody knows what was before the window."""
    criteria = Criteria(month=CRITERIA.month, history_months=3)
    rows = [{"account": n, "arr": 10_000 + n} for n in range(3)]
    alerts = select(attributes(rows, pa.int64()), lambda accounts: accounts + 1, criteria).alerts
    assert [
        (alert.duration_months, alert.duration_is_minimum, str(alert.risk_start_month)) for alert in alerts
    ] == [
        (3, True, "2025-11-01"),
        (2, False, "2025-12-01"),
        (1, False, "2026-01-01"),
    ]


@pytest.mark.parametrize(
    "status",
    [
        *("at risk", "AT RISK", " At Risk", "At  Risk", "AtRisk", "\u3000At\tRisk\n"),
        *("At-Risk", "at_risk", "At \u2013 Risk"),
    ],
)
def test_case_spaces_and_hyphens_make_near_misses(status: str) -> None:
    """They are not At Risk, but somebody is told."""
    statuses = pa.array([status.encode()])
    assert (is_at_risk(statuses).to_pylist(), is_nearly_at_risk(statuses).to_pylist()) == ([False], [True])


@pytest.mark.parametrize("status", [b"At Risk", b"At-Riskless", b"Not At Risk", b"Risk", b"", b"\xffAt Risk"])
def test_others_are_no_near_misses(status: bytes) -> None:
    """Neither is the status itself, nor another word."""
    assert is_nearly_at_risk(pa.array([status])).to_pylist() == [False]


@pytest.mark.parametrize(
    ("ids", "count"),
    [
        (["a", "b", "c"], 0),
        (["a1", "A1", " a1", "a2"], 3),
        (["STRASSE", "straße"], 2),
        (["x", "X", "y", "Y"], 4),
        (["ä", "Ä ", "a"], 2),
    ],
)
def test_ids_that_differ_by_case_or_spaces(ids: list[str], count: int) -> None:
    """All ids that have a double are counted."""
    assert sum(warning.count for warning in near_miss_warnings(0, ids)) == count
