"""Tenants, organisations and users over HTTP: who may do what to whom, and what strangers learn of it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.access.signing_keys import add_key
from service.domain.identity.permission import Role
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import open_store
from tests.support.clocks import START
from tests.support.people import PASSWORD, Client, add_person, all_seeing, logged_in
from tests.support.served import RunningService, running_service, settings

FORBIDDEN = (403, "FORBIDDEN")


@pytest.fixture(scope="module")
def ids() -> dict[str, str]:
    """Return the ids of what there is, by name."""
    return {}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, ids: dict[str, str]) -> Iterator[RunningService]:
    """Return a service with two tenants, organisations in both, and somebody of each role."""
    folder: Path = tmp_path_factory.mktemp("people")
    add_key(folder / "jwt.json")

    async def made() -> None:
        async with open_store(f"sqlite:///{folder}/risk_alerts.db") as store:
            access = all_seeing(store).access
            other = await access.tenants.create(name="Other", code="other", now=START)
            ids.update(own=DEFAULT_TENANT, other=other.id)
            for name, tenant_id in (("north", DEFAULT_TENANT), ("south", DEFAULT_TENANT), ("far", other.id)):
                place = await access.organizations.create(tenant_id, name=name, code=name, now=START)
                ids[name] = place.id
            for name, role, place_name, tenant_id in (
                ("root", Role.SUPER_ADMIN, None, DEFAULT_TENANT),
                ("tina", Role.TENANT_ADMIN, None, DEFAULT_TENANT),
                ("olga", Role.ORG_ADMIN, "north", DEFAULT_TENANT),
                ("mike", Role.ORG_MEMBER, "north", DEFAULT_TENANT),
                ("uma", Role.USER, None, DEFAULT_TENANT),
                ("sam", Role.ORG_MEMBER, "south", DEFAULT_TENANT),
                ("fred", Role.ORG_MEMBER, "far", other.id),
            ):
                organization_id = ids[place_name] if place_name else None
                user = await add_person(
                    store, name, role, tenant_id=tenant_id, organization_id=organization_id
                )
                ids[name] = user.id

    asyncio.run(made())
    given = settings(folder, jwt_keys_file=folder / "jwt.json", limit_failed_logins="1000/minute")
    with running_service(given) as running:
        yield running


@pytest.fixture(scope="module")
def people(service: RunningService, ids: dict[str, str]) -> dict[str, Client]:
    """Return everybody, logged in."""
    return {name: logged_in(service, name) for name in ("root", "tina", "olga", "mike", "uma", "fred") if ids}


def new_user(name: str, **values: Any) -> dict[str, Any]:
    """Return a body that adds a user."""
    return {"email": f"{name}@example.com", "name": name, "role": "user", "password": PASSWORD} | values


def test_a_tenant_lives_by_the_hand_of_a_super_admin(people: dict[str, Client]) -> None:
    """Added, shown, listed, renamed, deactivated, activated; its code is its own."""
    root = people["root"]
    made = root.data("POST", "/tenants", {"name": " New  one ", "code": "new-one"}, status=201)
    assert (made["name"], made["code"], made["is_active"]) == ("New  one", "new-one", True)
    assert root.data("GET", f"/tenants/{made['id']}") == made
    assert root.refused("POST", "/tenants", {"name": "Twice", "code": "new-one"}) == (409, "ALREADY_EXISTS")
    renamed = root.data("PATCH", f"/tenants/{made['id']}", {"name": "Newer"})
    assert (renamed["name"], renamed["code"]) == ("Newer", "new-one")
    assert root.data("DELETE", f"/tenants/{made['id']}")["is_active"] is False
    assert root.data("PATCH", f"/tenants/{made['id']}", {"is_active": True})["is_active"] is True
    listed = root.data("GET", "/tenants?limit=2")
    more = root.data("GET", f"/tenants?limit=2&cursor={listed['next_cursor']}")
    assert made["id"] in {each["id"] for each in listed["tenants"] + more["tenants"]}


def test_nobody_closes_the_tenant_that_they_are_in(people: dict[str, Client], ids: dict[str, str]) -> None:
    """Nobody would be left to open it again."""
    root = people["root"]
    assert root.refused("DELETE", f"/tenants/{ids['own']}") == FORBIDDEN
    assert root.refused("PATCH", f"/tenants/{ids['own']}", {"is_active": False}) == FORBIDDEN


def test_whoever_is_in_a_deactivated_tenant_is_out(
    service: RunningService, people: dict[str, Client], ids: dict[str, str]
) -> None:
    """Every token of it is refused from the next request on, and log-in as well."""
    root, fred = people["root"], people["fred"]
    assert fred.data("GET", "/auth/me")["tenant_id"] == ids["other"]
    root.data("DELETE", f"/tenants/{ids['other']}")
    try:
        assert fred.refused("GET", "/auth/me") == (401, "UNAUTHENTICATED")
        body = {"email": "fred@example.com", "password": PASSWORD}
        assert Client(service.client).refused("POST", "/auth/login", body) == (401, "WRONG_CREDENTIALS")
    finally:
        root.data("PATCH", f"/tenants/{ids['other']}", {"is_active": True})


def test_an_organisation_lives_by_the_hand_of_a_tenant_admin(
    people: dict[str, Client], ids: dict[str, str]
) -> None:
    """In the own tenant; another's tenants and organisations are not there."""
    tina = people["tina"]
    where = f"/tenants/{ids['own']}/organizations"
    made = tina.data("POST", where, {"name": "East", "code": "east"}, status=201)
    assert made["tenant_id"] == ids["own"]
    assert {each["code"] for each in tina.data("GET", where)["organizations"]} >= {"north", "south", "east"}
    assert tina.data("PATCH", f"/organizations/{made['id']}", {"code": "orient"})["code"] == "orient"
    channel = "default_risk_channel"
    assert made[channel] is None
    for said, kept in (("#credit-risk", "credit-risk"), ("", None)):
        assert tina.data("PATCH", f"/organizations/{made['id']}", {channel: said})[channel] == kept
    wrong = tina.refused("PATCH", f"/organizations/{made['id']}", {channel: "two words"})
    assert wrong == (422, "VALIDATION_ERROR")
    assert tina.data("DELETE", f"/organizations/{made['id']}")["is_active"] is False
    absent = "00000000-0000-4000-8000-000000000000"
    for tenant in (ids["other"], absent):
        found = tina.refused("POST", f"/tenants/{tenant}/organizations", {"name": "X", "code": "x"})
        assert found == (404, "TENANT_NOT_FOUND")
        assert tina.refused("GET", f"/tenants/{tenant}/organizations") == (404, "TENANT_NOT_FOUND")
    for organization in (ids["far"], absent):
        assert tina.refused("GET", f"/organizations/{organization}") == (404, "ORGANIZATION_NOT_FOUND")
        assert tina.refused("DELETE", f"/organizations/{organization}") == (404, "ORGANIZATION_NOT_FOUND")


def test_an_org_admin_changes_the_own_organisation_and_no_more(
    people: dict[str, Client], ids: dict[str, str]
) -> None:
    """Its name, but not whether it is open; of another of the tenant nothing is said."""
    olga = people["olga"]
    assert olga.data("PATCH", f"/organizations/{ids['north']}", {"name": "North!"})["name"] == "North!"
    assert olga.refused("PATCH", f"/organizations/{ids['north']}", {"is_active": False}) == FORBIDDEN
    assert olga.refused("DELETE", f"/organizations/{ids['north']}") == FORBIDDEN
    for absent in ("south", "far"):
        found = olga.refused("PATCH", f"/organizations/{ids[absent]}", {"name": "Mine", "is_active": False})
        assert found == (404, "ORGANIZATION_NOT_FOUND")
    own = olga.data("GET", f"/tenants/{ids['own']}/organizations")["organizations"]
    assert [each["id"] for each in own] == [ids["north"]]


@pytest.mark.parametrize(
    ("who", "role", "place", "expected"),
    [
        ("root", "tenant_admin", None, 201),
        ("root", "super_admin", None, 403),
        ("tina", "org_admin", "south", 201),
        ("tina", "org_member", "far", 404),
        ("tina", "tenant_admin", None, 403),
        ("tina", "super_admin", None, 403),
        ("olga", "org_member", None, 201),
        ("olga", "user", "north", 201),
        ("olga", "user", "south", 404),
        ("olga", "org_admin", None, 403),
        ("mike", "user", None, 403),
        ("uma", "user", None, 403),
        ("tina", "org_member", None, 422),
        ("tina", "king", None, 422),
    ],
)
def test_nobody_makes_anybody_at_or_above_their_own_level(
    people: dict[str, Client], ids: dict[str, str], who: str, role: str, place: str | None, expected: int
) -> None:
    """Nor in a place that they do not see; who is made in an organisation is in that of who makes them."""
    name = f"made-by-{who}-{role}-{place}"
    body = new_user(name, role=role) | ({"organization_id": ids[place]} if place else {})
    response = people[who].ask("POST", "/api/v1/users", body)
    assert response.status_code == expected, response.text
    if expected == 201:
        made = response.json()["data"]
        assert made["organization_id"] == (ids[place] if place else ids["north"] if who == "olga" else None)
        assert "password" not in response.text


def test_roles_are_granted_below_the_own_only(people: dict[str, Client], ids: dict[str, str]) -> None:
    """To nobody who has as much, to nobody's own self, and from nobody who has more."""
    root, tina, olga, mike = (people[name] for name in ("root", "tina", "olga", "mike"))
    assert tina.refused("POST", f"/users/{ids['mike']}/role", {"role": "tenant_admin"}) == FORBIDDEN
    assert tina.refused("POST", f"/users/{ids['tina']}/role", {"role": "user"}) == FORBIDDEN
    assert tina.refused("POST", f"/users/{ids['root']}/role", {"role": "user"}) == FORBIDDEN
    assert tina.refused("DELETE", f"/users/{ids['root']}") == FORBIDDEN
    assert olga.refused("POST", f"/users/{ids['mike']}/role", {"role": "org_admin"}) == FORBIDDEN
    assert olga.refused("POST", f"/users/{ids['tina']}/role", {"role": "user"}) == (404, "USER_NOT_FOUND")
    assert mike.refused("POST", f"/users/{ids['mike']}/role", {"role": "org_admin"}) == FORBIDDEN
    assert root.refused("POST", f"/users/{ids['mike']}/role", {"role": "super_admin"}) == FORBIDDEN
    assert root.refused("POST", f"/users/{ids['root']}/role", {"role": "user"}) == FORBIDDEN
    assert root.refused("DELETE", f"/users/{ids['root']}") == FORBIDDEN
    assert olga.data("POST", f"/users/{ids['mike']}/role", {"role": "user"})["role"] == "user"
    assert tina.data("POST", f"/users/{ids['mike']}/role", {"role": "org_member"})["role"] == "org_member"
    assert tina.refused("POST", f"/users/{ids['uma']}/role", {"role": "org_admin"})[0] == 422


def test_people_are_seen_by_those_who_reach_them(people: dict[str, Client], ids: dict[str, str]) -> None:
    """All, those of the tenant, those of the organisation, oneself; others are as absent as nobody."""

    def seen(who: str) -> set[str]:
        return {each["id"] for each in people[who].data("GET", "/users?limit=500")["users"]}

    known = {ids[name] for name in ("root", "tina", "olga", "mike", "uma", "sam", "fred")}
    assert seen("root") >= known
    assert seen("tina") & known == known - {ids["fred"]}
    assert seen("olga") & known == {ids["olga"], ids["mike"]}
    assert seen("mike") == {ids["mike"]}
    assert seen("uma") == {ids["uma"]}
    answers = {
        people["mike"].ask("GET", f"/api/v1/users/{user_id}").json()["error"]["message"]
        for user_id in (ids["uma"], ids["fred"], "absent")
    }
    assert len(answers) == 1


def test_people_change_themselves_and_those_below(
    service: RunningService, people: dict[str, Client], ids: dict[str, str]
) -> None:
    """A name; the own password with the current one, which ends every log-in; another's from above."""
    olga, uma, tina = people["olga"], people["uma"], people["tina"]
    assert uma.data("PATCH", f"/users/{ids['uma']}", {"name": "Uma U."})["name"] == "Uma U."
    assert olga.refused("PATCH", f"/users/{ids['tina']}", {"name": "Me"}) == (404, "USER_NOT_FOUND")
    body = {"password": "another-horse-battery"}
    for wrong in ({}, {"current_password": "wrong-horse-battery"}):
        found = uma.refused("PATCH", f"/users/{ids['uma']}", body | wrong)
        assert found == (401, "WRONG_CREDENTIALS")
    uma.data("PATCH", f"/users/{ids['uma']}", body | {"current_password": PASSWORD})
    assert uma.refused("GET", "/auth/me") == (401, "UNAUTHENTICATED")
    people["uma"] = logged_in(service, "uma", "another-horse-battery")
    tina.data("PATCH", f"/users/{ids['uma']}", {"password": PASSWORD})
    assert people["uma"].refused("GET", "/auth/me") == (401, "UNAUTHENTICATED")
    people["uma"] = logged_in(service, "uma")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"nmae": "x"}, "body.nmae"),
        ({"name": "  "}, "body.name"),
        ({"name": "a\nb"}, "body.name"),
        ({"password": "short"}, "body.password"),
        ({"role": "user"}, "body.role"),
    ],
)
def test_what_cannot_be_changed_is_named(
    people: dict[str, Client], ids: dict[str, str], body: dict[str, str], field: str
) -> None:
    """Nothing at all, a misspelled field, a blank name, a short password, a role past its own route."""
    response = people["tina"].ask("PATCH", f"/api/v1/users/{ids['uma']}", body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert response.json()["error"]["details"]["field"] == field
    assert "short" not in response.text.replace("too_short", "")


def test_an_address_is_one_account_over_all_tenants(people: dict[str, Client], ids: dict[str, str]) -> None:
    """In whatever case it is written."""
    body = new_user("x", email="FRED@example.COM", role="user")
    assert people["tina"].refused("POST", "/users", body) == (409, "ALREADY_EXISTS")
    body = new_user("x", email="new@example.com", tenant_id=ids["other"])
    assert people["tina"].refused("POST", "/users", body) == (404, "TENANT_NOT_FOUND")


def test_keys_and_strangers_reach_nobody(service: RunningService) -> None:
    """People are for people: whoever shows no token is not told what there is."""
    nobody = Client(service.client)
    for path in ("/tenants", "/users", f"/tenants/{DEFAULT_TENANT}/organizations"):
        assert nobody.refused("GET", path) == (401, "UNAUTHENTICATED")


def test_an_open_service_shows_nobody_either(tmp_path: Path) -> None:
    """Before the first identity: nobody anonymous reaches tenants, organisations or users."""
    with running_service(settings(tmp_path)) as service:
        nobody = Client(service.client)
        assert nobody.ask("GET", "/runs").status_code == 200
        for method, path in (("GET", "/tenants"), ("GET", "/users"), ("POST", "/users")):
            body = new_user("eve", role="tenant_admin") if method == "POST" else None
            assert nobody.refused(method, path, body) == (401, "UNAUTHENTICATED")


def test_refused_changes_are_in_the_audit(service: RunningService, people: dict[str, Client]) -> None:
    """Whoever tries what is not theirs leaves a name."""
    mike = people["mike"].data("GET", "/auth/me")["id"]

    async def refused() -> set[tuple[str, str]]:
        found = await all_seeing(service.app.store).audit.list(limit=500)
        return {(each.principal, each.action) for each in found.items if each.outcome == "refused"}

    people["mike"].refused("POST", f"/users/{mike}/role", {"role": "org_admin"})
    assert (f"user:{mike}", "users.write") in asyncio.run(refused())


def test_the_audit_has_what_people_did_in_their_tenant(
    people: dict[str, Client], ids: dict[str, str]
) -> None:
    """Who did it, to whom, and in which request; another tenant's admin sees nothing of it."""
    tina, olga = people["tina"], people["olga"]
    made = tina.data("POST", "/users", new_user("audited"), status=201)
    listed = tina.data("GET", f"/audit?action=user.create&principal=user:{ids['tina']}&limit=1")
    (entry,) = listed["entries"]
    assert (entry["target"], entry["outcome"], entry["tenant_id"]) == (made["id"], "done", ids["own"])
    assert entry["request_id"]
    older = tina.data("GET", f"/audit?cursor={entry['id']}&limit=500")["entries"]
    assert older
    assert all(each["id"] < entry["id"] for each in older)
    assert {each["tenant_id"] for each in older} == {ids["own"]}
    assert olga.refused("GET", "/audit") == FORBIDDEN
