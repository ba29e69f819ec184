"""The matrix, over HTTP, on both databases: what each role may do to what is whose, and nothing beside it.

What is expected is computed from the table of permissions, the routes' own needs and the rows; so a new route
is in it by itself, once `test_every_route` has a body for it.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.identity.permission import MATRIX, Permission, Reach, Role, may_grant
from tests.integration.api.identity.test_every_route import BODIES, EVERY_ENDPOINT, Endpoint
from tests.support.population import NOBODYS, NOTHING, Population, Thing, served, settle_in
from tests.support.served import RunningService

WHO: Final = [f"{role} {place}" for role in Role for place in ("near", "far")]
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_META: Final = re.compile(r'"meta":{[^}]*}')
_SAMPLES: Final = 60
_READS_A_SOURCE: Final = "POST /api/v1/predictions/annual/bulk"
"""With a `source_uri`, which is read with this process's own access: for its own tenant only."""

Answer = tuple[int, str, str]
Question = tuple[Endpoint, str, Thing]


def questions(population: Population, endpoint: Endpoint) -> list[Thing]:
    """Return what the path of a route can name, or nothing where it names nothing."""
    parameter = _PARAMETER.search(endpoint.path)
    return population.of_kind(parameter[1]) if parameter else [NOTHING]


def ask(service: RunningService, population: Population, endpoint: Endpoint, who: str, what: Thing) -> Answer:
    """Return the status, the error's code and the body, without the id that was asked for."""
    path = endpoint.path
    if "/access/" in path:
        path = path.replace("{user_id}", population.people[what.place or "near", "user"].id)
    path = _PARAMETER.sub(what.id, path)
    headers = {"authorization": f"Bearer {population.tokens[who]}"}
    if "/jobs/" in path and path.endswith("/events"):
        # They go on until the job has ended, which none of these ever does.
        with service.client.stream("GET", path, headers=headers) as stream:
            if stream.status_code == HTTPStatus.OK:
                return stream.status_code, "", ""
    has_body = endpoint.method in {"POST", "PATCH", "PUT"}
    answer = service.client.request(
        endpoint.method,
        path,
        json=BODIES.get(endpoint.path, {"name": "x"} if endpoint.method == "PATCH" else None)
        if has_body
        else None,
        headers=headers,
    )
    changes = (
        endpoint.method == "DELETE" or path.endswith(("/role", "/activate", "/cancel")) or "/access/" in path
    )
    if answer.status_code == 200 and changes:
        population.put_back()
    text = _META.sub("", answer.text).replace(what.id, "ID")
    body = answer.json() if answer.headers["content-type"] == "application/json" else None
    error = (body.get("error") or "") if isinstance(body, dict) else ""
    return answer.status_code, error["code"].lower() if isinstance(error, dict) else error, text


def expected(endpoint: Endpoint, who: Thing, what: Thing) -> tuple[int, str] | None:
    """Return how a request is refused, or None where it is not."""
    needs = endpoint.needs
    reach = MATRIX[Role(who.role or "")].get(needs.permission)
    is_here = needs.here or endpoint.name == _READS_A_SOURCE
    is_elsewhere = is_here and who.place != "near" and reach is not Reach.ALL
    if reach is None or is_elsewhere:
        return 403, "forbidden" if reach is None else "not_served_here"
    # Counts of a tenant that nobody has written down are zeros, for who sees every tenant.
    if "{" not in endpoint.path or (endpoint.path.startswith("/stats/") and reach is Reach.ALL):
        return None
    # What is seen, and not one's own to delete, is no secret.
    deletes = needs.permission is Permission.DELETE_COMPANIES
    if not what.is_seen(who, MATRIX[Role(who.role or "")][Permission.READ_COMPANIES] if deletes else reach):
        return 404, ""
    if needs.here and what.place != "near":
        return 403, "not_served_here"
    return (403, "forbidden") if is_above(endpoint, who, what) else None


def is_above(endpoint: Endpoint, who: Thing, what: Thing) -> bool:
    """Return whether somebody sees a thing and may not change it.

    Who is no lower, the tenant they are in, and what a colleague made for who deletes only their own.
    """
    if endpoint.needs.permission is Permission.DELETE_COMPANIES and who.role is Role.ORG_MEMBER:
        return what.made_by != who.user_id
    if endpoint.method == "GET" or (what == who and endpoint.needs.permission is Permission.UPDATE_USERS):
        return False
    if what.role is not None:
        return not may_grant(Role(who.role or ""), what.role)
    return endpoint.name == "DELETE /api/v1/tenants/{tenant_id}" and what.place == who.place


def check(service: RunningService, population: Population, question: Question) -> None:
    """Ask, and compare what is answered with what the matrix says; nothing foreign is in any answer."""
    endpoint, name, what = question
    role, place = name.split(" ")
    who = population.people[place, role]
    status, code, text = ask(service, population, endpoint, name, what)
    found = f"{endpoint.name} by {name} of {what}: {status} {text[:300]}"
    match expected(endpoint, who, what):
        case None:
            assert status not in {401, 403, 405, 422} and status < 500, found  # noqa: PT018
            assert status != 404 or "{" not in endpoint.path, found
        case 404, _:
            absent = ask(service, population, endpoint, name, NOTHING)
            assert (status, code, text) == absent, found
            assert status == 404, found
        case refused:
            assert (status, code) == refused, found
    if endpoint.needs.permission is Permission.READ_AUDIT:
        # It has the ids that a tenant's own people have tried; whose rows those are, it does not say.
        text = "".join(re.findall(r'"tenant_id":"[^"]+"', text))
    if "/alerts" in endpoint.path:
        # An alert says who worked on it, also where that was somebody who sees every tenant.
        text = re.sub(r'"(by|acknowledged_by|resolved_by)":"[^"]+"', "", text)
    if role != Role.SUPER_ADMIN:
        foreign = {each.id for each in population.everything() if each.place != place}
        assert {each for each in foreign if each in text} == set(), found


@pytest.fixture
def population(database_url: str, tmp_path: Path) -> Population:
    """Return everybody, in a database of either kind."""
    return settle_in(database_url, tmp_path)


@pytest.fixture
def service(population: Population) -> Iterator[RunningService]:
    """Serve the API for one of the tenants."""
    with served(population) as running:
        yield running


def test_what_is_answered_is_what_the_matrix_says(service: RunningService, population: Population) -> None:
    """For some of all requests, other ones each time; `make fault` has every one."""
    asked = st.sampled_from(EVERY_ENDPOINT).flatmap(
        lambda endpoint: st.tuples(
            st.just(endpoint), st.sampled_from(WHO), st.sampled_from(questions(population, endpoint))
        )
    )

    @settings(max_examples=_SAMPLES, deadline=None, database=None)
    @given(asked)
    def answered_as_the_matrix_says(question: Question) -> None:
        check(service, population, question)

    answered_as_the_matrix_says()
    for endpoint in EVERY_ENDPOINT[::7]:
        for nobody in NOBODYS:
            assert ask(service, population, endpoint, nobody, NOTHING)[:2] == (401, "unauthenticated")


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", Role)
def test_every_route_by_every_role_for_whatever_there_is(
    service: RunningService, population: Population, role: Role
) -> None:
    """Own, of another organisation or tenant, absent, deactivated; and for people who are deactivated."""
    count = 0
    for endpoint in EVERY_ENDPOINT:
        for what in questions(population, endpoint):
            for place in ("near", "far"):
                check(service, population, (endpoint, f"{role} {place}", what))
                count += 1
            if role is Role.SUPER_ADMIN:
                for nobody in NOBODYS:
                    assert ask(service, population, endpoint, nobody, what)[:2] == (401, "unauthenticated")
    assert count > 400
