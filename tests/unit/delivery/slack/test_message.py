"""The message says what the specification says, in both its forms."""

from datetime import date
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.account_risk.account_at_risk import AccountAtRisk
from service.account_risk.risk_alert import arr_text, details_url, duration_text
from service.domain.month import Month
from tests.support.alerts import an_alert, rendered

BASE = "https://app.yourcompany.com/accounts"


def both_forms(alert: AccountAtRisk, **options: Any) -> tuple[str, str]:
    """Return the fallback text and everything the blocks show, each as lines."""
    payload = rendered(alert, details_base_url=BASE, **options)
    header, facts, link = payload["blocks"]
    shown = [header["text"]["text"], *(field["text"] for field in facts["fields"]), link["text"]["text"]]
    return payload["text"], "\n".join(shown)


def lines_of(alert: AccountAtRisk, **options: Any) -> list[str]:
    """Return the lines that both forms agree on; only the link is written in two ways."""
    text, blocks = both_forms(alert, **options)
    assert text.splitlines()[:-1] == blocks.splitlines()[:-1]
    return text.splitlines()[:-1]


def test_says_everything_about_an_ordinary_alert() -> None:
    """Title, region, duration, ARR, renewal date, owner and link stand in both forms, in this order."""
    text, blocks = both_forms(an_alert())
    facts = [
        "🚩 At Risk: Amber Analytics (a00636)",
        "Region: AMER",
        "At Risk for: 3 months (since 2025-11-01)",
        "ARR: $10,211",
        "Renewal date: 2026-09-30",
        "Owner: owner@example.com",
    ]
    assert text.splitlines() == [*facts, f"Details: {BASE}/a00636"]
    assert blocks.splitlines() == [*facts, f"<{BASE}/a00636|Account details>"]


def test_is_what_a_webhook_takes() -> None:
    """The fallback text, and three blocks: a header that is named after the alert, the facts, the link."""
    alert = an_alert()
    payload = rendered(alert, details_base_url=BASE)
    assert set(payload) == {"text", "blocks"}
    assert [block["type"] for block in payload["blocks"]] == ["header", "section", "section"]
    assert payload["blocks"][0]["block_id"] == f"risk_alert.{alert.alert_id}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"duration_months": 1, "risk_start_month": "2026-01-01"}, "1 month (since 2026-01-01)"),
        ({"duration_months": 2, "risk_start_month": "2025-12-01"}, "2 months (since 2025-12-01)"),
        ({"duration_months": 120, "risk_start_month": "2016-02-01"}, "120 months (since 2016-02-01)"),
        (
            {"duration_months": 120, "duration_is_minimum": True, "risk_start_month": "2016-02-01"},
            "120+ months (since 2016-02-01 or earlier)",
        ),
        (
            {"duration_months": 1, "duration_is_minimum": True, "risk_start_month": "2026-01-01"},
            "1+ months (since 2026-01-01 or earlier)",
        ),
    ],
)
def test_says_for_how_long(changes: dict[str, Any], expected: str) -> None:
    """One month is singular, and a streak that reaches the edge of history says that it may be longer."""
    start = Month.parse(changes.pop("risk_start_month"))
    alert = an_alert(risk_start_month=start, **changes)
    assert duration_text(alert) == expected
    assert f"At Risk for: {expected}" in lines_of(alert)


@pytest.mark.parametrize(
    ("arr", "expected"),
    [
        (None, "Unknown"),
        (0, "$0"),
        (999, "$999"),
        (10_211, "$10,211"),
        (1_234_567, "$1,234,567"),
        (-5, "-$5"),
        (-10_211, "-$10,211"),
        (2**63 - 1, "$9,223,372,036,854,775,807"),
        (-(2**63), "-$9,223,372,036,854,775,808"),
    ],
)
def test_says_the_arr(arr: int | None, expected: str) -> None:
    """ARR is whole dollars with thousands apart; null is Unknown and never zero."""
    assert f"ARR: {expected}" in lines_of(an_alert(arr=arr))


@given(st.integers())
def test_the_arr_reads_back(arr: int) -> None:
    """No digit or sign of an ARR is lost."""
    assert int(arr_text(arr).replace("$", "").replace(",", "")) == arr


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (None, "Unknown"),
        (date(2026, 9, 3), "2026-09-03"),
        (date(1900, 1, 1), "1900-01-01"),
        (date(9999, 12, 31), "9999-12-31"),
        (date(1, 1, 1), "0001-01-01"),
    ],
)
def test_says_the_renewal_date(day: date | None, expected: str) -> None:
    """The renewal date is an ISO date, or Unknown."""
    assert f"Renewal date: {expected}" in lines_of(an_alert(renewal_date=day))


@pytest.mark.parametrize("owner", [None, "", "  ", "\n", "\u202e"])
def test_says_no_owner_where_there_is_none(owner: str | None) -> None:
    """A missing or blank owner leaves no line behind."""
    assert not any(line.startswith("Owner") for line in lines_of(an_alert(account_owner=owner)))


@pytest.mark.parametrize("region", [None, "", " "])
def test_says_that_the_region_is_unknown(region: str | None) -> None:
    """A message that only a preview shows says Unknown where there is no region."""
    assert "Region: Unknown" in lines_of(an_alert(account_region=region))


def test_one_webhook_names_the_channel() -> None:
    """When all channels share one webhook both forms say whose message it is; else neither does."""
    assert "Channel: #emea-risk-alerts" in lines_of(an_alert(), named_channel="emea-risk-alerts")
    assert not any("Channel" in line for line in lines_of(an_alert()))


@pytest.mark.parametrize(
    ("account_id", "encoded"),
    [
        ("a00636", "a00636"),
        ("a/b", "a%2Fb"),
        ("a?b=c&d", "a%3Fb%3Dc%26d"),
        ("a#b", "a%23b"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("..a", "..a"),
        ("a b+c", "a%20b%2Bc"),
        ("100%", "100%25"),
        ("Zürich", "Z%C3%BCrich"),
        ("株", "%E6%A0%AA"),
        ("a<b>|c", "a%3Cb%3E%7Cc"),
        ("a\nb", "a%0Ab"),
        ("\ud800", "%3F"),
    ],
)
def test_links_to_the_account(account_id: str, encoded: str) -> None:
    """The id is percent-encoded whole, and both forms hold the link."""
    text, blocks = both_forms(an_alert(account_id=account_id))
    assert text.splitlines()[-1] == f"Details: {BASE}/{encoded}"
    assert blocks.splitlines()[-1] == f"<{BASE}/{encoded}|Account details>"


@given(st.text(min_size=1))
def test_the_id_stays_inside_its_segment(account_id: str) -> None:
    """Whatever the id, it reads back from the path's last segment, and nothing else of the URL changes."""
    url = urlsplit(details_url(account_id, BASE))
    *folder, last = url.path.split("/")
    assert "/".join(folder) == "/accounts"
    assert unquote(last) == account_id
    assert last not in {"", ".", ".."}
    assert (url.scheme, url.netloc, url.query, url.fragment) == ("https", "app.yourcompany.com", "", "")


@pytest.mark.parametrize("base", [BASE, f"{BASE}/", f"{BASE}//"])
def test_a_trailing_slash_of_the_base_is_harmless(base: str) -> None:
    """The link has one slash before the id however the base is written."""
    assert details_url("a00636", base) == f"{BASE}/a00636"


def test_a_base_with_a_query_is_escaped() -> None:
    """An `&` of the configured base is escaped like any other, as Slack demands in both forms."""
    payload = rendered(an_alert(), details_base_url="https://app.example.com/?a=1&id=")
    assert payload["text"].endswith("Details: https://app.example.com/?a=1&amp;id=/a00636")
    assert payload["blocks"][2]["text"]["text"].startswith("<https://app.example.com/?a=1&amp;id=/a00636|")
