"""Predictions over HTTP: scored, kept with their model, made anew, and the same in every format."""

import json
import math
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

from service.default_risk.model import logit
from service.default_risk.model_file import shipped_model
from service.domain.default_risk.prediction_kind import PredictionKind
from tests.integration.api.v1.risk.conftest import Town
from tests.support.companies import HEALTHY, write_companies
from tests.support.processes import command

INVALID: Final = (422, "VALIDATION_ERROR")
NOT_FOUND: Final = (404, "PREDICTION_NOT_FOUND")
RATIOS: Final = {name: value for name, value in HEALTHY.items() if name[:7] not in {"company", "reporti"}}
BAD: Final[dict[str, Any]] = {
    "total_debt_to_ebitda": -9.5,
    "net_income_margin": -240,
    "return_on_assets": -35,
}
QUARTERLY: Final = {
    "total_debt_to_ebitda": 4.0,
    "sga_margin": 12.5,
    "long_term_debt_to_total_capital": 40,
    "return_on_capital": 3,
}


def statement(symbol: str = "SOLID", **values: Any) -> dict[str, Any]:
    """Return a body about a healthy company."""
    return {"company_symbol": symbol, "reporting_year": 2025, **RATIOS} | values


def score(town: Town, body: dict[str, Any], kind: str = "annual") -> dict[str, Any]:
    """Return a score, of a body that may have NaN in it."""
    answer = town.people["mike"].ask(
        "POST",
        f"/api/v1/predictions/{kind}/score",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_a_score_shows_its_working(town: Town) -> None:
    """Contributions and intercept are the log-odds of the exact probability; the level is by that one."""
    model = shipped_model(PredictionKind.ANNUAL)
    said = score(town, statement(**BAD))
    exact = said["exact_probability"]
    assert said["intercept"] + sum(said["contributions"].values()) == pytest.approx(logit(exact), abs=1e-9)
    assert said["probability"] == round(exact, 4)
    assert said["risk_level"] == ("HIGH" if exact > 0.5 else "MEDIUM" if exact > 0.2 else "LOW")
    assert (said["model"]["name"], said["model"]["sha256"]) == (model.name, model.sha256)
    assert 1 <= len(said["reasons"]) <= 4
    assert said["reasons"][0].startswith("total debt to EBITDA of -9.5 x raises the risk")
    assert {*said["contributions"]} == {*said["ratios"]} == {*RATIOS}
    assert said["abstained"] is None
    listed = town.people["mike"].data("GET", "/predictions/annual?company_symbol=SOLID")
    assert listed["predictions"] == []


def test_a_prediction_lives_in_versions(town: Town) -> None:
    """Kept, shown, listed; made anew by PUT, which keeps the old one; deleted, and then free again."""
    mike, sam = town.people["mike"], town.people["sam"]
    body = statement("VERS", company_name="Versions AG", market_cap="NM", sector="steel")
    made = mike.data("POST", "/predictions/annual", body, status=201)
    assert {name: made[name] for name in score(town, body) if name != "created_at"} == {
        name: value for name, value in score(town, body).items() if name != "created_at"
    }
    assert (made["version"], made["company_name"], made["created_by"]) == (
        1,
        "Versions AG",
        f"user:{town.ids['mike']}",
    )
    company = mike.data("GET", f"/companies/{made['company_id']}")
    assert (company["symbol"], company["sector"], company["market_cap"]) == ("VERS", "steel", None)
    path = f"/predictions/annual/{made['id']}"
    assert mike.data("GET", path) == made
    assert mike.refused("POST", "/predictions/annual", body) == (409, "PREDICTION_EXISTS")
    worse = mike.data("PUT", path, body | BAD)
    assert (worse["id"], worse["version"]) == (made["id"], 2)
    assert worse["exact_probability"] > made["exact_probability"]
    versions = mike.data("GET", f"{path}/versions")["predictions"]
    assert versions == [worse, made | {"is_newest": False}]
    page = mike.data("GET", f"{path}/versions?limit=1")
    assert (page["predictions"], page["next_cursor"]) == ([worse], "2")
    assert mike.data("GET", f"{path}/versions?cursor=2")["predictions"] == versions[1:]
    under = f"/companies/{made['company_id']}/predictions"
    listed = mike.data("GET", f"{under}?kind=annual&reporting_year=2025")
    assert mike.data("GET", f"{under}/annual?reporting_year=2025") == listed
    assert mike.data("GET", f"{under}/quarterly")["predictions"] == []
    assert listed["predictions"] == [worse]
    assert mike.refused("GET", path.replace("annual", "quarterly")) == NOT_FOUND
    for method in ("GET", "DELETE"):
        assert sam.refused(method, path) == NOT_FOUND
    assert sam.refused("PUT", path, body) == NOT_FOUND
    assert town.people["ann"].refused("DELETE", path) == (403, "FORBIDDEN")
    assert mike.data("DELETE", path) is None
    assert mike.refused("GET", f"{path}/versions") == NOT_FOUND
    mike.data("POST", "/predictions/annual", body, status=201)


def test_a_prediction_stays_of_its_company_and_period(town: Town) -> None:
    """PUT of another one is refused by the field that differs; so is another company under a company."""
    mike = town.people["mike"]
    made = mike.data("POST", "/predictions/annual", statement("STAY"), status=201)
    path = f"/predictions/annual/{made['id']}"
    assert mike.refused("PUT", path, statement("OTHER")) == INVALID
    assert mike.refused("PUT", path, statement("STAY", reporting_year=2024)) == INVALID
    under = f"/companies/{made['company_id']}/predictions/annual"
    assert mike.refused("POST", under, statement("OTHER", reporting_year=2023)) == INVALID
    bare = {name: value for name, value in statement().items() if name != "company_symbol"}
    second = mike.data("POST", under, bare | {"reporting_year": 2023}, status=201)
    assert (second["company_id"], second["company_symbol"]) == (made["company_id"], "STAY")
    assert mike.refused("POST", "/predictions/annual", bare) == INVALID
    assert mike.refused("POST", "/companies/absent/predictions/annual", bare) == (404, "COMPANY_NOT_FOUND")


def test_a_quarterly_prediction_is_of_a_quarter(town: Town) -> None:
    """Its own ratios and none of the annual ones, and a quarter, which an annual one has not."""
    mike = town.people["mike"]
    body = {"company_symbol": "QUART", "reporting_year": 2025, "reporting_quarter": "Q3", **QUARTERLY}
    made = mike.data("POST", "/predictions/quarterly", body, status=201)
    assert (made["prediction_type"], made["reporting_quarter"]) == ("quarterly", "Q3")
    assert {*made["contributions"]} == {*QUARTERLY}
    mike.data("POST", "/predictions/quarterly", body | {"reporting_quarter": "Q4"}, status=201)
    listed = mike.data("GET", "/predictions/quarterly?company_symbol=QUART&reporting_quarter=Q3")
    assert listed["predictions"] == [made]
    assert mike.refused("POST", "/predictions/annual/score", body) == INVALID
    for wrong in ({"reporting_quarter": None}, {"net_income_margin": 3}, {"reporting_quarter": "Q5"}):
        assert mike.refused("POST", "/predictions/quarterly/score", body | wrong) == INVALID
    assert mike.refused("POST", "/predictions/monthly/score", body) == INVALID


@pytest.mark.parametrize(
    "spelled", [None, "", " ", "NM", "n/a", "NaN", math.nan, math.inf, -math.inf, "Infinity"]
)
def test_what_says_that_there_is_no_number_is_missing(town: Town, spelled: object) -> None:
    """One ratio less counts nothing and is flagged; three less, and there is no probability at all."""
    one = score(town, statement(net_income_margin=spelled))
    assert one["flags"]["missing"] == ["net_income_margin"]
    assert one["contributions"]["net_income_margin"] == 0
    assert one["ratios"]["net_income_margin"] is None
    three = score(town, statement() | dict.fromkeys([*RATIOS][:3], spelled))
    assert (three["probability"], three["risk_level"], three["contributions"], three["reasons"]) == (
        None,
        None,
        {},
        [],
    )
    assert three["abstained"] == f"too many ratios are missing: {', '.join([*RATIOS][:3])}"


def test_what_a_model_abstains_on_is_kept_as_that(town: Town) -> None:
    """Its probability is null, in lists as well, and never 0."""
    mike = town.people["mike"]
    body = statement("GONE", **dict.fromkeys([*RATIOS][:3]))
    made = mike.data("POST", "/predictions/annual", body, status=201)
    assert (made["probability"], made["exact_probability"]) == (None, None)
    assert mike.data("GET", f"/predictions/annual/{made['id']}") == made


def test_values_of_companies_that_fail_are_accepted(town: Town) -> None:
    """Negative EBITDA, and margins beyond ±100; what the training data never had is flagged."""
    said = score(town, statement(total_debt_to_ebitda="-12.5", net_income_margin=-1e6))
    assert said["flags"]["clamped"] == ["net_income_margin"]
    assert said["ratios"]["total_debt_to_ebitda"] == -12.5
    assert said["probability"] > score(town, statement())["probability"]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("net_income_margin", "12,5", "decimal comma"),
        ("net_income_margin", "twelve", "'twelve' is not a number"),
        ("net_income_margin", True, "must be a number, or a text of at most 40"),
        ("net_income_margin", [1], "must be a number, or a text of at most 40"),
        ("net_income_margin", "1" * 41, "must be a number, or a text of at most 40"),
        ("sga_margin", 3, "no ratio of annual statements"),
        ("market_cap", "much", "'much' is not a number"),
        ("market_cap", -5, "must not be negative"),
        ("reporting_year", 1899, "1900"),
        ("reporting_year", "2025", "integer"),
        ("reporting_quarter", "Q1", "not of annual statements"),
        ("net_incom_margin", 1, "Extra inputs"),
        ("company_symbol", "", "one line"),
    ],
)
def test_what_is_wrong_is_named(town: Town, field: str, value: object, reason: str) -> None:
    """The field of the body, and why; nothing is kept."""
    mike = town.people["mike"]
    answer = mike.ask("POST", "/api/v1/predictions/annual", statement("WRONG") | {field: value})
    details = answer.json()["error"]["details"]
    assert answer.status_code == 422
    assert details["field"] == f"body.{field}"
    assert reason in details["reason"]
    unkept = mike.ask("POST", "/api/v1/predictions/annual/score", statement("WRONG") | {field: value})
    assert unkept.json()["error"]["details"] == details
    assert mike.data("GET", "/companies?symbol=WRONG")["companies"] == []


@pytest.mark.parametrize("huge", ["1" + "0" * 400, "1e999", "-1e999"])
def test_a_number_beyond_all_numbers_is_no_500(town: Town, huge: str) -> None:
    """As JSON has no limit for them: missing, or refused."""
    body = json.dumps(statement(net_income_margin=0)).replace(": 0", f": {huge}")
    answer = town.people["mike"].ask(
        "POST",
        "/api/v1/predictions/annual/score",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in {200, 422}, answer.text


def test_one_row_has_one_score_in_every_format(town: Town, tmp_path: Path) -> None:
    """By the API as numbers and as text, and from CSV, XLSX and Parquet: the same probability, bit by bit."""
    rows = [HEALTHY | {"company_symbol": f"C{place}"} | row for place, row in enumerate(ROWS)]
    by_format = {}
    for suffix in (".csv", ".xlsx", ".parquet"):
        write_companies(tmp_path / f"rows{suffix}", rows)
        done = command(tmp_path, "score", f"rows{suffix}", "--out", "scores.parquet")
        assert done.returncode == 0, done.stderr
        by_format[suffix] = pq.read_table(tmp_path / "scores.parquet")["probability"].to_pylist()
    bodies = [statement(**{name: row[name] for name in RATIOS}) for row in rows]
    as_numbers = [{name: _number(value) for name, value in body.items()} for body in bodies]
    by_api = [[score(town, body)["exact_probability"] for body in each] for each in (bodies, as_numbers)]
    assert by_api[0] == by_api[1] == by_format[".csv"] == by_format[".xlsx"] == by_format[".parquet"]
    assert None in by_api[0]


ROWS: Final[list[dict[str, str]]] = [
    {},
    {"total_debt_to_ebitda": "-3.2", "net_income_margin": "-240.125"},
    {"return_on_assets": "NM"},
    {"return_on_assets": "", "net_income_margin": "NaN"},
    dict.fromkeys(["return_on_assets", "net_income_margin", "total_debt_to_ebitda"], "NM"),
    {"ebit_to_interest_expense": "1e3", "long_term_debt_to_total_capital": "0.1"},
]


def _number(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
