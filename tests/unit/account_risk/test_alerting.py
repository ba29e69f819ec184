"""The rules: who alerts, in which order, and which of several rows that tie speaks for an account."""

import datetime as dt
from decimal import Decimal
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.account_risk.account_at_risk import Criteria
from service.account_risk.alerting import Selection, is_at_risk, is_nearly_at_risk, near_miss_warnings, select
from service.account_risk.folding.candidate_rows import CandidateRows
from service.account_risk.folding.candidates import Candidates
from service.domain.month import Month

CRITERIA = Criteria(month=Month.parse("2026-01-01"))
PAIRS = [(3, 9), (9, 3), (1, 5), (6, 5)]
"""ARR, and how new it is."""


def made(rows: list[dict[str, Any]], kind: pa.DataType = pa.int64()) -> pa.Table:  # noqa: B008  # a constant
    """Return rows At Risk, reduced to candidates; of account 0 and one instant unless told otherwise."""
    return reduced(batches=[rows], kind=kind)


def reduced(*, batches: list[list[dict[str, Any]]], kind: pa.DataType) -> pa.Table:
    """Return the candidates of several batches of rows."""
    seen = Candidates()
    for rows in batches:
        take_in(seen, rows, kind)
    return seen.table()


def take_in(seen: Candidates, rows: list[dict[str, Any]], kind: pa.DataType) -> None:
    """Add rows and their attributes, as they are read."""
    accounts = np.array([row.get("account", 0) for row in rows], np.int64)
    batch = pa.record_batch(
        {
            "account_name": pa.array([row.get("name") for row in rows], pa.string()),
            "account_region": pa.array([row.get("region") for row in rows], pa.string()),
            "account_owner": pa.array([row.get("owner") for row in rows], pa.string()),
            "renewal_date": pa.array([row.get("renewal") for row in rows], pa.date32()),
            "arr": pa.array([row.get("arr") for row in rows], kind),
        }
    )
    packed = np.array([row.get("packed", 3) for row in rows], np.uint64)
    seen.identify(accounts, pa.array([f"a{account}".encode() for account in accounts.tolist()]))
    seen.add(CandidateRows(accounts=accounts, packed=packed, places=np.arange(len(rows))), batch)


def selected(arrs: list[Any], kind: pa.DataType, **criteria: Any) -> Selection:
    """Select among one account for each ARR."""
    rows = [{"account": n, "arr": arr} for n, arr in enumerate(arrs)]
    return select(made(rows, kind), np.ones(len(arrs), np.int64), Criteria(month=CRITERIA.month, **criteria))


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
        assert made(list(rows)).equals(made([wins]))


def test_the_newest_row_counts_whatever_it_says() -> None:
    """Attributes are only asked where instants tie, in a batch as in many."""
    rows = [{"arr": arr, "packed": packed, "account": n % 2} for n, (arr, packed) in enumerate(PAIRS)]
    whole = made(rows)
    assert dict(zip(whole["account"].to_pylist(), whole["arr"].to_pylist(), strict=True)) == {0: 3, 1: 6}
    for order in permutations(rows):
        parts = reduced(batches=[[row] for row in order], kind=pa.int64())
        assert parts.sort_by("account").equals(whole.sort_by("account"))


@pytest.mark.parametrize(
    ("kind", "exact"),
    [
        (pa.decimal128(10, 1), ["1.4", "1.2", "-1.2", "-1.4"]),
        (pa.decimal256(76, 60), ["1.250000000000000000000000000000000000000001", "1.25", "1.125", "0.5"]),
        (pa.float64(), [2.5, 2.25, 2.125, -2.125, -2.5]),
    ],
    ids=str,
)
def test_ties_compare_the_exact_arr(kind: pa.DataType, exact: list[Any]) -> None:
    """Two ARRs that are shown alike are still not the same."""
    values = [Decimal(value) if isinstance(value, str) else value for value in exact]
    for larger, smaller in pairwise(values):
        for order in permutations([{"arr": larger, "name": "b"}, {"arr": smaller, "name": "a"}]):
            assert made(list(order), kind)["name"].to_pylist() == ["b"]


def test_arrs_of_different_types_compare_exactly() -> None:
    """One file may keep integers where the next one has decimals."""
    parts: list[tuple[dict[str, Any], pa.DataType]] = [
        ({"arr": 1, "name": "int"}, pa.int64()),
        ({"arr": Decimal("1.1"), "name": "decimal"}, pa.decimal128(4, 1)),
        ({"arr": 1.09375, "name": "float"}, pa.float32()),
    ]
    for order in permutations(parts):
        seen = Candidates()
        for row, kind in order:
            take_in(seen, [row], kind)
        assert seen.table()["name"].to_pylist() == ["decimal"]


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u3000"])
def test_a_blank_name_is_as_good_as_none(blank: str) -> None:
    """The id stands in for it, and a row with a name wins a tie."""
    (alert,) = select(made([{"arr": 50_000, "name": blank}]), np.ones(1, np.int64), CRITERIA).alerts
    assert alert.account_name == alert.account_id
    assert made([{"name": blank}, {"name": "Zoo"}])["name"].to_pylist() == ["Zoo"]


def test_equal_rows_collapse() -> None:
    """What is kept grows with accounts, not with rows."""
    seen = Candidates()
    for _ in range(600):
        take_in(seen, [{"account": n, "name": "Acme", "arr": 5} for n in (1, 2, 3)] * 100, pa.int64())
        assert seen.nbytes < 40_000_000
    assert seen.table().num_rows == 3


def test_streaks_that_reach_the_edge_of_history_are_minimums() -> None:
    """Nobody knows what was before the window."""
    criteria = Criteria(month=CRITERIA.month, history_months=3)
    rows = [{"account": n, "arr": 10_000 + n} for n in range(3)]
    alerts = select(made(rows), np.arange(1, 4), criteria).alerts
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
