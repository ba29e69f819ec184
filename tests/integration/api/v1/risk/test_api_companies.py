"""Companies over HTTP: added, found, changed, deleted and assigned, by whom they belong to."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.api.v1.risk.conftest import Town
from tests.support.served import RunningService, running_service, settings

FORBIDDEN: Final = (403, "FORBIDDEN")
NOT_FOUND: Final = (404, "COMPANY_NOT_FOUND")
INVALID: Final = (422, "VALIDATION_ERROR")


def company(symbol: str, **values: Any) -> dict[str, Any]:
    """Return a body that adds a company."""
    return {"symbol": symbol, "name": f"{symbol} AG"} | values


def test_a_company_lives_by_the_hands_of_its_organisation(town: Town) -> None:
    """Added, shown, listed, changed, deleted; its symbol is its own there, and free again afterwards."""
    mike, sam, fred = (town.people[name] for name in ("mike", "sam", "fred"))
    made = mike.data("POST", "/companies", company("LIFE", market_cap=12.5), status=201)
    assert (made["organization_id"], made["market_cap"], made["sector"]) == (town.ids["north"], 12.5, None)
    assert made["created_by"] == f"user:{town.ids['mike']}"
    path = f"/companies/{made['id']}"
    assert mike.data("GET", path) == made
    assert mike.refused("POST", "/companies", company("LIFE")) == (409, "ALREADY_EXISTS")
    sam.data("POST", "/companies", company("LIFE"), status=201)
    changed = mike.data("PATCH", path, {"sector": "steel"})
    assert changed == made | {"sector": "steel", "updated_at": changed["updated_at"]}
    for stranger in (sam, fred, town.people["uma"]):
        assert stranger.refused("GET", path) == NOT_FOUND
        assert made["id"] not in str(stranger.data("GET", "/companies"))
    assert mike.data("DELETE", path) is None
    assert mike.refused("GET", path) == NOT_FOUND
    mike.data("POST", "/companies", company("LIFE"), status=201)


def test_companies_are_found(town: Town) -> None:
    """By symbol, sector, a part of the name, and organisation; page by page, also under the organisation."""
    tina, ids = town.people["tina"], town.ids
    for symbol, sector in (("S1", "steel"), ("S2", None), ("T1", "steel")):
        body = company(symbol, sector=sector, name=f"Search {symbol}")
        tina.data("POST", f"/organizations/{ids['south']}/companies", body, status=201)

    def found(query: str, under: str = "") -> list[str]:
        return [each["symbol"] for each in tina.data("GET", f"{under}/companies?{query}")["companies"]]

    assert found("search=search%20s") == ["S1", "S2"]
    assert found("search=search&sector=steel") == ["S1", "T1"]
    assert found(f"symbol=S1&organization_id={ids['south']}") == ["S1"]
    assert found(f"symbol=S1&organization_id={ids['north']}") == []
    assert found("symbol=S1", under=f"/organizations/{ids['south']}") == ["S1"]
    page = tina.data("GET", "/companies?search=search&limit=2")
    assert found(f"search=search&cursor={page['next_cursor']}") == ["T1"]
    assert tina.refused("GET", "/companies?cursor=x") == (422, "BAD_CURSOR")
    assert tina.refused("GET", f"/organizations/{ids['far']}/companies") == (404, "ORGANIZATION_NOT_FOUND")


def test_who_is_of_no_organisation_says_which_one(town: Town) -> None:
    """A tenant_admin's tenant has two; a super_admin reaches another tenant's by naming it."""
    tina, root, ids = town.people["tina"], town.people["root"], town.ids
    assert tina.refused("POST", "/companies", company("X")) == (422, "ORGANIZATION_NEEDED")
    for absent in ("absent", ids["far"]):
        body = company("X", organization_id=absent)
        assert tina.refused("POST", "/companies", body) == (404, "ORGANIZATION_NOT_FOUND")
    made = root.data("POST", "/companies", company("X", organization_id=ids["far"]), status=201)
    assert made["tenant_id"] != town.people["tina"].data("GET", "/auth/me")["tenant_id"]
    assert town.people["fred"].data("GET", f"/companies/{made['id']}") == made


def test_a_member_deletes_what_is_their_own(town: Town) -> None:
    """What a colleague added is seen, and theirs: 403, and in the audit; an administrator may."""
    mike, ann, olga = (town.people[name] for name in ("mike", "ann", "olga"))
    made = mike.data("POST", "/companies", company("OWN"), status=201)
    path = f"/companies/{made['id']}"
    assert ann.refused("DELETE", path) == FORBIDDEN
    assert ann.refused("DELETE", "/companies/ab sent") == NOT_FOUND
    assert town.people["sam"].refused("DELETE", path) == NOT_FOUND
    (entry,) = town.people["tina"].data("GET", "/audit?action=company.delete")["entries"][:1]
    assert (entry["target"], entry["outcome"]) == (made["id"], "refused")
    olga.data("DELETE", path)


def test_a_user_sees_what_is_assigned(town: Town) -> None:
    """Read only, until it is revoked; granted by who is above them, to nobody who is more than a user."""
    olga, uma, ids = town.people["olga"], town.people["uma"], town.ids
    made = town.people["mike"].data("POST", "/companies", company("SHARED"), status=201)
    path = f"/companies/{made['id']}"
    access = f"{path}/access/{ids['uma']}"
    assert uma.data("GET", "/companies")["companies"] == []
    granted = olga.data("PUT", access)
    assert (granted["email"], granted["granted_by"]) == ("uma@example.com", f"user:{ids['olga']}")
    assert olga.data("PUT", access) == granted
    assert olga.data("GET", f"{path}/access")["grants"] == [granted]
    assert uma.data("GET", path) == made
    assert uma.data("GET", "/companies")["companies"] == [made]
    assert uma.refused("PATCH", path, {"name": "x"}) == FORBIDDEN
    assert olga.refused("PUT", f"{path}/access/{ids['mike']}") == (409, "NOT_ASSIGNABLE")
    for absent in ("absent", ids["sam"], ids["fred"]):
        assert olga.refused("PUT", f"{path}/access/{absent}") == (404, "USER_NOT_FOUND")
    assert town.people["mike"].refused("GET", f"{path}/access") == FORBIDDEN
    assert olga.data("DELETE", access) is None
    assert uma.refused("GET", path) == NOT_FOUND


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", " "),
        ("symbol", "x" * 41),
        ("symbol", "a\nb"),
        ("name", ""),
        ("market_cap", -1),
        ("market_cap", "12"),
        ("market_cap", True),
        ("market_cap", float("nan")),
        ("ticker", "X"),
    ],
)
def test_a_body_that_is_wrong_is_refused_by_name(town: Town, field: str, value: object) -> None:
    """With the field and the reason."""
    body = company("BAD") | {field: value}
    answer = town.people["mike"].ask("POST", "/api/v1/companies", **_as_json(body))
    assert (answer.status_code, answer.json()["error"]["code"]) == INVALID
    assert answer.json()["error"]["details"]["field"] == f"body.{field}"


def _as_json(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body whose NaN is sent as such, which no client's own encoder does."""
    return {"content": json.dumps(body), "headers": {"content-type": "application/json"}}


def test_where_nobody_is_asked_companies_have_an_organisation_too(tmp_path: Path) -> None:
    """On a laptop there is nobody who could make one: it comes with the first company."""
    with running_service(settings(tmp_path)) as service:
        first, second = (_added(service, symbol) for symbol in ("A", "B"))
        assert first["organization_id"] == second["organization_id"]
        assert first["created_by"] == "anonymous"


def _added(service: RunningService, symbol: str) -> dict[str, Any]:
    answer = service.client.post("/api/v1/companies", json=company(symbol))
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data
