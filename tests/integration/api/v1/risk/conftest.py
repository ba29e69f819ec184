"""One service for all questions about companies: organisations of two tenants, and people of each role."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from service.access.signing_keys import add_key
from service.domain.identity.permission import Role
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import open_store
from tests.support.clocks import START
from tests.support.people import Client, add_person, all_seeing, logged_in
from tests.support.served import RunningService, running_service, settings

_PEOPLE = {
    "root": (Role.SUPER_ADMIN, None),
    "tina": (Role.TENANT_ADMIN, None),
    "olga": (Role.ORG_ADMIN, "north"),
    "mike": (Role.ORG_MEMBER, "north"),
    "ann": (Role.ORG_MEMBER, "north"),
    "sam": (Role.ORG_MEMBER, "south"),
    "uma": (Role.USER, "north"),
    "fred": (Role.ORG_MEMBER, "far"),
}


@dataclass(frozen=True, slots=True)
class Town:
    """A service, the ids of its organisations and people, and everybody logged in."""

    service: RunningService
    ids: dict[str, str]
    people: dict[str, Client]


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Return the service with everybody in it."""
    folder = tmp_path_factory.mktemp("companies")
    add_key(folder / "jwt.json")
    ids: dict[str, str] = {}

    async def made() -> None:
        async with open_store(f"sqlite:///{folder}/risk_alerts.db") as store:
            access = all_seeing(store).access
            far = await access.tenants.create(name="Far", code="far", now=START)
            tenants = {"north": DEFAULT_TENANT, "south": DEFAULT_TENANT, "far": far.id}
            for name, tenant_id in tenants.items():
                place = await access.organizations.create(tenant_id, name=name, code=name, now=START)
                ids[name] = place.id
            for name, (role, home) in _PEOPLE.items():
                user = await add_person(
                    store,
                    name,
                    role,
                    tenant_id=tenants[home or "north"],
                    organization_id=ids[home] if home else None,
                )
                ids[name] = user.id

    asyncio.run(made())
    given = settings(
        folder,
        jwt_keys_file=folder / "jwt.json",
        limit_failed_logins="1000/minute",
        limit_changes="100000/minute",
    )
    with running_service(given) as running:
        yield Town(running, ids, {name: logged_in(running, name) for name in _PEOPLE})
