"""An alert is known by its account and month, and looks back as far as it is told to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.account_risk.account_at_risk import Criteria
from service.domain.month import Month
from tests.support.alerts import MONTH, an_alert, any_alert, any_text


@given(any_text(min_size=1), any_alert())
def test_identity_is_account_and_month(account_id: str, other: object) -> None:
    """Whatever else is known of an account, its alert keeps its id; the id is 32 hex digits."""
    one = an_alert(account_id=account_id)
    two = an_alert(account_id=account_id, account_name=str(other), account_region=None, arr=None)
    assert one.alert_id == two.alert_id
    assert re.fullmatch(r"[0-9a-f]{32}", one.alert_id)


@given(st.tuples(any_text(min_size=1), st.integers(24_000, 24_400)), st.data())
def test_another_account_or_month_is_another_alert(first: tuple[str, int], data: st.DataObject) -> None:
    """No two (account, month) pairs share an id, however alike they are written."""
    second = data.draw(
        st.tuples(st.just(first[0]), st.integers(24_000, 24_400))
        | st.tuples(any_text(min_size=1), st.just(first[1]))
        | st.just((first[0] + "\x1f2026-01-01", first[1]))
    )
    ids = {an_alert(account_id=name, month=Month(index)).alert_id for name, index in (first, second)}
    assert len(ids) == len({first, second})


def test_identity_never_changes_between_versions() -> None:
    """The id is stored and compared over years, so it is pinned here."""
    assert an_alert(account_id="a00636", month=MONTH).alert_id == "6fff5257d9a7ec3cdae0e5e0d41dd842"


@pytest.mark.parametrize(
    ("month", "history_months", "first"),
    [
        ("2026-01-01", 1, "2026-01-01"),
        ("2026-01-01", 13, "2025-01-01"),
        ("2026-01-01", 120, "2016-02-01"),
        ("0001-03-01", 120, "0001-01-01"),
        ("2026-01-01", 120_000, "0001-01-01"),
    ],
)
def test_history_begins_at_the_edge(month: str, history_months: int, first: str) -> None:
    """The window holds `history_months` months, the target included, but none before the year 1."""
    criteria = Criteria(month=Month.parse(month), history_months=history_months)
    assert str(criteria.first_month) == first


def test_defaults_are_those_of_the_specification() -> None:
    """Ten thousand and more is alerted, the unknown is not, and history is ten years."""
    criteria = Criteria(month=MONTH)
    assert (criteria.arr_threshold, criteria.alert_on_unknown_arr, criteria.history_months) == (
        10_000,
        False,
        120,
    )
