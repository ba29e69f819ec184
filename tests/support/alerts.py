"""Alerts for tests: one that nothing is odd about, and alerts of any text whatever."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from service.account_risk.account_at_risk import AccountAtRisk
from service.account_risk.risk_alert import RiskAlert
from service.delivery.slack.message import render
from service.domain.month import Month

MONTH = Month.parse("2026-01-01")
BASE_URL = "https://app.yourcompany.com/accounts"


def an_alert(account_id: str = "a00636", **changes: Any) -> AccountAtRisk:
    """Return an ordinary alert of an account, as `changes` have it."""
    ordinary: dict[str, Any] = {
        "account_id": account_id,
        "account_name": "Amber Analytics",
        "account_region": "AMER",
        "month": MONTH,
        "duration_months": 3,
        "duration_is_minimum": False,
        "risk_start_month": Month.parse("2025-11-01"),
        "arr": 10_211,
        "renewal_date": date(2026, 9, 30),
        "account_owner": "owner@example.com",
    }
    return AccountAtRisk(**ordinary | changes)


def rendered(
    alert: AccountAtRisk, *, details_base_url: str = BASE_URL, named_channel: str | None = None
) -> dict[str, Any]:
    """Return the payload of an alert."""
    message = RiskAlert(details_base_url=details_base_url).message(alert)
    return render(alert, message, named_channel=named_channel)


def any_text(*, min_size: int = 0) -> st.SearchStrategy[str]:
    """Draw texts that a data file may hold: any character, lone surrogates too, short and 64 k long."""
    awkward = st.sampled_from(
        ("<!channel>", "&", "&amp;", "*", "\n", "\r\n", "\x00", "\u202e", "\u2028", "🚩", "\ud800", "|", "ﷺ")
    )
    characters = st.characters(exclude_categories=())
    short = st.lists(awkward | characters, min_size=min_size, max_size=40).map("".join)
    long = st.builds(lambda text, times: text * times, awkward | characters, st.integers(100, 65_536))
    return short | long


def any_alert() -> st.SearchStrategy[AccountAtRisk]:
    """Draw alerts whose every fact is arbitrary."""
    return st.builds(
        an_alert,
        account_id=any_text(min_size=1),
        account_name=any_text(),
        account_region=st.none() | any_text(),
        month=st.integers(12, 9999 * 12 + 11).map(Month),
        duration_months=st.integers(1, 120_000),
        duration_is_minimum=st.booleans(),
        risk_start_month=st.integers(12, 9999 * 12 + 11).map(Month),
        arr=st.none() | st.integers(-(2**63), 2**63 - 1),
        renewal_date=st.none() | st.dates(),
        account_owner=st.none() | any_text(),
    )
