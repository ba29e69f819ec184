"""Every route, every role, {own, foreign, absent}: what is answered is what the matrix says, and no more.

The table of routes is made of the application itself, so that a new route is in it or the test fails.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from service.api.application import create_app
from service.api.identity.authentication import FREE, INTERNAL, METRICS
from service.api.identity.caller import Needs
from service.api.identity.internal import internal_service
from service.default_risk.model_file import model_bytes
from service.domain.identity.permission import MATRIX, Permission, Reach, Role
from service.domain.run import Page
from service.settings import Settings
from service.store.audit import AuditEntry
from service.store.store import Store
from tests.support.companies import small_model
from tests.support.identities import ALERT_IDS, RUN_IDS, TENANTS, asking_service, in_store, two_tenants
from tests.support.rows import MONTH
from tests.support.served import RunningService

STATEMENT: Final = {"reporting_year": 2025, "net_income_margin": 3}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "/runs": {"source_uri": "file:///none.parquet", "month": MONTH},
    "/preview": {"source_uri": "file:///none.parquet", "month": MONTH},
    "/alerts/{alert_id}/settle": {"as": "sent"},
    "/alerts/{alert_id}/notes": {"note": "x"},
    "/alerts": {"rule_name": "x", "message": "x", "subject": "x"},
    "/alerts/bulk": {"action": "resolve", "ids": ["absent"]},
    # Of what is absent or known already, so that nothing is made.
    "/api/v1/tenants": {"name": "Default", "code": "default"},
    "/api/v1/tenants/{tenant_id}/organizations": {"name": "x", "code": "x"},
    "/api/v1/users": {"email": "x@example.com", "name": "x", "role": "user", "organization_id": "absent"},
    "/api/v1/users/{user_id}/role": {"role": "user"},
    "/api/v1/models/annual": orjson.loads(model_bytes(small_model())),
    "/api/v1/companies": {"symbol": "X", "name": "x", "organization_id": "absent"},
    "/api/v1/organizations/{organization_id}/companies": {"symbol": "X", "name": "x"},
    "/api/v1/predictions/annual": STATEMENT | {"company_symbol": "X", "organization_id": "absent"},
    "/api/v1/predictions/annual/score": STATEMENT,
    "/api/v1/predictions/annual/bulk": {"source_uri": "file:///none.csv", "organization_id": "absent"},
    "/api/v1/predictions/annual/{prediction_id}": STATEMENT,
    # Of another year than there is, so that it does not come into the way of one that is put back.
    "/api/v1/companies/{company_id}/predictions/annual": STATEMENT | {"reporting_year": 2024},
}
ABSENT: Final = "00000000-0000-4000-8000-000000000000"
IDS: Final = {"run_id": RUN_IDS, "alert_id": ALERT_IDS, "tenant_id": {**TENANTS, "absent": ABSENT}}
DONE: Final = {
    "POST /runs": (404, "source_not_found"),
    "POST /preview": (404, "source_not_found"),
    "POST /runs/{run_id}/cancel": (409, "run_finished"),
}
"""What is answered to who may; elsewhere 200."""
SECOND: Final = {
    (201, ""),
    (409, "already_acknowledged"),
    (409, "already_resolved"),
    (409, "illegal_transition"),
}
"""What may stand for 200 where somebody was there before, or is the first."""
NOBODYS: Final = {*FREE, "/docs/oauth2-redirect", "/api/v1/auth/logout", "/api/v1/auth/me", METRICS}
"""What needs no permission: what is free, a page that the framework adds, what is about oneself, and the
metrics, for which nobody but the operator has the key."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method of a path, and what it needs."""

    method: str
    path: str
    needs: Needs

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.method} {self.path}"


def endpoints() -> list[Endpoint]:
    """Return what there is besides what is free."""
    found = []
    api = create_app(Settings(_env_file=None))
    api.state.late_routes.add()
    for route in _routes(api.routes):
        if route.path.startswith(INTERNAL):
            assert internal_service in _calls(route.dependant), f"{route.path} is for other services only"
            assert route.methods == {"POST"}, f"{route.path}: other services only create"
        elif route.path not in NOBODYS:
            needs = {each for each in _calls(route.dependant) if isinstance(each, Needs)}
            assert len(needs) == 1, f"{route.path} does not name what it needs"
            path = route.path.replace("{kind}", "annual")
            found += [Endpoint(method, path, *needs) for method in route.methods or ()]
    assert {"GET /runs/{run_id}", "POST /runs"} < {each.name for each in found}
    return found


def _routes(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from _routes(included.routes)


def _calls(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)


EVERY_ENDPOINT: Final = endpoints()
ENDPOINTS: Final = [each for each in EVERY_ENDPOINT if "/api/v1/" not in each.path]
"""Of runs and alerts."""
OF_PEOPLE: Final = [each for each in EVERY_ENDPOINT if each not in ENDPOINTS]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Serve the API for one of two tenants, each of which has a run and an alert."""
    folder = tmp_path_factory.mktemp("tenants")
    two_tenants(folder)
    with asking_service(folder, allowed_sources=["file:///"]) as running:
        yield running


def asked(service: RunningService, endpoint: Endpoint, who: str, target: str) -> tuple[int, str, str]:
    """Return the status, the error's code, and the whole body without the id that was asked for."""
    path, asked_for = endpoint.path, "no id"
    for name, ids in IDS.items():
        if f"{{{name}}}" in path:
            asked_for = ids[target]
            path = path.replace(f"{{{name}}}", asked_for)
    body = BODIES.get(endpoint.path) if endpoint.method == "POST" else None
    headers = {"authorization": f"Bearer {who}"} if who else {}
    answer = service.client.request(endpoint.method, path, json=body, headers=headers)
    # What the envelope says of the answer itself differs each time.
    text = re.sub(r'"meta":{[^}]*}', "", answer.text.replace(asked_for, "ID"))
    is_json = answer.headers["content-type"] == "application/json"
    content = answer.json() if is_json else None
    error = (content.get("error") or "") if isinstance(content, dict) else ""
    return answer.status_code, error["code"].lower() if isinstance(error, dict) else error, text


def expected(endpoint: Endpoint, role: Role, place: str, target: str) -> tuple[int, str]:
    """Return what the matrix says."""
    reach = MATRIX[role].get(endpoint.needs.permission)
    if reach is None:
        return 403, "forbidden"
    if endpoint.needs.here and place != "own" and reach is not Reach.ALL:
        return 403, "not_served_here"
    # `own` and `foreign` are said from where the process stands.
    is_seen = target != "absent" if reach is Reach.ALL else target == place
    if endpoint.path.startswith("/stats/") and reach is Reach.ALL:
        return 200, ""
    if "{" in endpoint.path and not is_seen:
        (named,) = (name for name in IDS if f"{{{name}}}" in endpoint.path)
        return 404, named.replace("_id", "_not_found")
    if "{" in endpoint.path and endpoint.needs.here and target == "foreign":
        return 403, "not_served_here"
    return DONE.get(endpoint.name, (200, ""))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_who_may_what(service: RunningService, endpoint: Endpoint, role: Role) -> None:
    """For principals of both tenants; what is foreign is answered as what is absent, word for word."""
    for place in TENANTS:
        answers = {}
        for target in RUN_IDS:
            status, code, text = asked(service, endpoint, f"{role} {place}", target)
            if endpoint.needs.permission is Permission.WRITE_ALERTS and (status, code) in SECOND:
                status, code = 200, ""
            assert (status, code) == expected(endpoint, role, place, target), (place, target, text)
            answers[target] = status, text
        if role is not Role.SUPER_ADMIN:
            unseen = next(other for other in TENANTS if other != place)
            assert answers[unseen] == answers["absent"] or "{" not in endpoint.path


def test_a_tenant_in_the_request_does_not_beat_the_callers(service: RunningService) -> None:
    """In the query or the body: the other one's is answered as one that is not there, and nothing is done."""
    headers = {"authorization": "Bearer tenant_admin own"}
    asked_for: list[list[tuple[int, str]]] = []
    for tenant in (TENANTS["foreign"], ABSENT):
        bulk = {"action": "resolve", "filter": {"tenant_id": tenant}}
        answers = [
            service.client.get("/alerts", params={"tenant_id": tenant}, headers=headers),
            service.client.get(
                "/alerts", params={"tenant_id": tenant}, headers=headers | {"accept": "text/csv"}
            ),
            service.client.post("/alerts", json=BODIES["/alerts"] | {"tenant_id": tenant}, headers=headers),
            service.client.post("/alerts/bulk", json=bulk, headers=headers),
            service.client.get(f"/stats/{tenant}", headers=headers),
        ]
        assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {
            (404, "tenant_not_found")
        }
        asked_for.append([(answer.status_code, answer.text) for answer in answers])
    assert asked_for[0] == asked_for[1]


@pytest.mark.parametrize("role", Role)
def test_who_may_what_about_people(service: RunningService, role: Role) -> None:
    """403 without the permission; with it what is absent is absent. What is foreign: `test_api_v1_people`."""
    assert len(OF_PEOPLE) > 15
    headers = {"authorization": f"Bearer {role} own"}
    for endpoint in OF_PEOPLE:
        body = BODIES.get(endpoint.path) or {"name": "x"}
        json = body if endpoint.method in {"POST", "PATCH", "PUT"} else None
        path = re.sub(r"\{\w+\}", ABSENT, endpoint.path)
        answer = service.client.request(endpoint.method, path, json=json, headers=headers)
        if MATRIX[role].get(endpoint.needs.permission) is None:
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN"), endpoint.name
        else:
            known = {"POST /api/v1/tenants": 409, "POST /api/v1/users": 404}
            known |= dict.fromkeys(
                (
                    *("POST /api/v1/companies", "POST /api/v1/predictions/annual"),
                    "POST /api/v1/predictions/annual/bulk",
                ),
                404,
            )
            default = 404 if ABSENT in path else 200
            assert answer.status_code == known.get(endpoint.name, default), answer.text


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize("who", ["", "user deactivated", "super_admin deactivated", "super_admin"])
def test_who_is_nobody_may_nothing(service: RunningService, endpoint: Endpoint, who: str) -> None:
    """Without an identity, or with one that does not count any more: 401, whatever is asked for."""
    answers = {asked(service, endpoint, who, target) for target in RUN_IDS}
    assert {(status, code) for status, code, _ in answers} == {(401, "unauthenticated")}
    assert len(answers) == 1


def test_lists_have_only_what_is_seen(service: RunningService) -> None:
    """A tenant's people see its runs; a super_admin sees all."""
    seen = {
        who: [
            run["run_id"]
            for run in service.client.get("/runs", headers={"authorization": f"Bearer {who}"}).json()["runs"]
            if run["run_id"] in RUN_IDS.values()
        ]
        for who in ("org_member own", "tenant_admin foreign", "super_admin own")
    }
    assert seen == {
        "org_member own": ["ours"],
        "tenant_admin foreign": ["theirs"],
        "super_admin own": ["theirs", "ours"],
    }


def test_who_settled_is_who_asked(tmp_path: Path) -> None:
    """`by` is the principal, whoever else is named in the request; that name is kept beside it."""
    two_tenants(tmp_path)
    with asking_service(tmp_path) as service:
        answer = service.client.post(
            f"/alerts/{ALERT_IDS['own']}/settle",
            json={"as": "sent", "by": "Ann"},
            headers={"authorization": "Bearer tenant_admin own"},
        )
        (settled,) = answer.json()["settled"]
    assert (settled["by"], settled["given_by"]) == ("user:tenant_admin-own", "Ann")


def test_a_refused_change_is_in_the_audit_and_a_refused_read_is_not(tmp_path: Path) -> None:
    """With who it was, what it needed, and where it was asked for."""
    two_tenants(tmp_path)
    with asking_service(tmp_path) as service:
        for endpoint in ENDPOINTS:
            asked(service, endpoint, "user foreign", "own")

    async def of_this_one(store: Store) -> Page[AuditEntry]:
        return await store.audit.list(limit=99, principal="user:user-foreign")

    entries = in_store(tmp_path, of_this_one, tenant_id=TENANTS["foreign"])
    refused = [(entry.action, entry.target, entry.outcome) for entry in entries.items]
    changes = [each for each in ENDPOINTS if each.method in {"POST", "PUT"}]
    assert len(refused) == len(changes)
    assert ("runs.write", "/runs/ours/cancel", "refused") in refused
