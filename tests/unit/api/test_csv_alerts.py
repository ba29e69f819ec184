"""CSV: what a spreadsheet reads is what the JSON says, and nothing in it is calculated."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.csv_alerts import prefers_csv
from service.api.csv_lines import FORMULAS, csv_rows
from service.api.examples import examples
from service.api.schemas.alert import RunAlertOut

ANYTHING = st.text(st.characters(exclude_categories=["Cs"])) | st.builds(
    "{}{}".format, st.sampled_from(FORMULAS), st.text(max_size=5)
)


def cells(**changes: Any) -> dict[str, str]:
    """Return the cells of an alert, read back."""
    alert = RunAlertOut.model_validate(examples()["alerts"]["alerts"][0] | changes)
    [row] = csv.reader(io.StringIO(csv_rows([alert]), newline=""), strict=True)
    return dict(zip(RunAlertOut.model_fields, row, strict=True))


@pytest.mark.parametrize(
    ("accept", "wants"),
    [
        ("text/csv", True),
        ("TEXT/CSV; charset=utf-8", True),
        ("text/*", True),
        ("text/csv, application/json;q=0.5", True),
        ("text/csv, */*;q=0.1", True),
        ("text/csv;q=0.2, application/json;q=0.1", True),
        ("text/csv, application/json;q=nonsense", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/csv, application/json", False),
        ("text/csv;q=0.1, */*", False),
        ("text/csv;q=0", False),
        ("text/csv;q=nonsense", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        (";,;q=,", False),
    ],
)
def test_csv_is_for_those_who_prefer_it(accept: str, wants: bool) -> None:  # noqa: FBT001  # a table's column
    """Everybody else gets JSON."""
    assert prefers_csv(accept) is wants


@pytest.mark.parametrize("start", list("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))
def test_no_text_begins_like_a_formula(start: str) -> None:
    """An apostrophe before it makes it a text; within a text these characters are as good as any."""
    exported = cells(
        account_name=f"{start}cmd", account_id=f"a{start}", account_owner=f"{start}", account_region=start
    )
    assert exported["account_name"] == f"'{start}cmd"
    assert exported["account_id"] == f"a{start}"
    assert (exported["account_owner"], exported["account_region"]) == (f"'{start}", f"'{start}")


@given(name=ANYTHING, owner=st.none() | ANYTHING, region=st.none() | ANYTHING)
def test_any_text_comes_back_as_it_was(name: str, owner: str | None, region: str | None) -> None:
    """Quotes, commas, line breaks: nothing moves to another cell, and only the apostrophe is added."""
    exported = cells(account_name=name, account_owner=owner, account_region=region)
    for column, value in (("account_name", name), ("account_owner", owner), ("account_region", region)):
        assert not exported[column].startswith(FORMULAS)
        assert exported[column] in {value or "", f"'{value}"}


def test_values_are_those_of_the_json() -> None:
    """Numbers stay numbers, negative ones too; dates are ISO 8601; null is an empty cell."""
    exported = cells(arr=-5, renewal_date=None, duration_is_minimum=True)
    assert (exported["arr"], exported["renewal_date"], exported["duration_is_minimum"]) == ("-5", "", "true")
    assert (exported["month"], exported["outcome"], exported["http_status"]) == ("2026-01-01", "sent", "200")


def test_lines_are_those_of_the_standard() -> None:
    """RFC 4180: a header row, and CRLF at the end of every line."""
    header, *lines = examples()["alerts_csv"].split("\r\n")
    assert header.split(",") == list(RunAlertOut.model_fields)
    assert len(lines) == 3
    assert lines[-1] == ""
