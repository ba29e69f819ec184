"""A population: tenants with organisations, people of each role, runs and alerts, some of them deactivated.

`near` is the tenant that the process works for, `far` another one, and `gone` one that is deactivated.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from service.access.access_tokens import AccessTokens
from service.access.signing_keys import SigningKeys, add_key
from service.domain.delivery_status import DeliveryStatus
from service.domain.identity.actor import Actor
from service.domain.identity.permission import Reach, Role
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.runtime.clock import SystemClock
from service.store.schema.access_tables import organizations, refresh_tokens, tenants, users
from service.store.schema.default_risk_tables import companies, company_access, predictions
from service.store.schema.job_tables import jobs
from service.store.schema.roles import role_sql
from service.store.store import Store, open_store
from tests.support.alerts import an_alert
from tests.support.clocks import START
from tests.support.given import Given, routed, the_answer
from tests.support.jobs import a_request
from tests.support.people import add_person, all_seeing
from tests.support.predictions import MODEL, a_prediction
from tests.support.served import RunningService, running_service, settings

PLACES: Final = ("near", "far", "gone")
ABSENT: Final = "00000000-0000-4000-8000-000000000000"
NOBODYS: Final = ("left", "of a shut organisation", "of a tenant that is gone")
"""People who were logged in when they, or what they belong to, were deactivated."""
_RESIDENTS: Final = {
    "super_admin": (Role.SUPER_ADMIN, None),
    "tenant_admin": (Role.TENANT_ADMIN, None),
    "org_admin": (Role.ORG_ADMIN, "north"),
    "org_member": (Role.ORG_MEMBER, "north"),
    "user": (Role.USER, "north"),
    "colleague": (Role.USER, "north"),
    "neighbour": (Role.ORG_MEMBER, "south"),
    "left": (Role.USER, "north"),
    "of a shut organisation": (Role.ORG_ADMIN, "shut"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something with an id that a request can name, and whose it is."""

    id: str
    place: str
    organization_id: str | None = None
    user_id: str | None = None
    role: Role | None = None
    made_by: str | None = None

    def is_seen(self, by: "Thing", reach: Reach) -> bool:
        """Return whether somebody sees it who reaches so far."""
        match reach:
            case Reach.ALL:
                return self.place != ""
            case Reach.TENANT:
                return self.place == by.place
            case Reach.ORGANIZATION:
                is_tenant = self.organization_id is None and self.user_id is None
                return self.place == by.place and (is_tenant or self.organization_id == by.organization_id)
            case Reach.SELF:
                return self.user_id == by.user_id and self.user_id is not None


NOTHING: Final = Thing(id=ABSENT, place="")


@dataclass(frozen=True, slots=True)
class Population:
    """Who and what there is, by place and name, and everybody's token."""

    url: str
    folder: Path
    tenants: dict[str, Thing] = field(default_factory=dict)
    organizations: dict[tuple[str, str], Thing] = field(default_factory=dict)
    people: dict[tuple[str, str], Thing] = field(default_factory=dict)
    runs: dict[str, Thing] = field(default_factory=dict)
    alerts: dict[str, Thing] = field(default_factory=dict)
    companies: list[Thing] = field(default_factory=list)
    predictions: list[Thing] = field(default_factory=list)
    jobs: list[Thing] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    def of_kind(self, parameter: str) -> list[Thing]:
        """Return what a parameter of a path can name: of every place, deactivated, and absent."""
        kinds: dict[str, Iterator[Thing]] = {
            "tenant_id": iter(self.tenants.values()),
            "organization_id": iter(self.organizations.values()),
            "user_id": iter(self.people.values()),
            "run_id": iter(self.runs.values()),
            "alert_id": iter(self.alerts.values()),
            "company_id": iter(self.companies),
            "prediction_id": iter(self.predictions),
            "job_id": iter(self.jobs),
        }
        return [*kinds[parameter], NOTHING]

    def everything(self) -> Iterator[Thing]:
        """Yield all that there is."""
        of_people = "tenant_id", "organization_id", "user_id"
        for parameter in (*of_people, "run_id", "alert_id", "company_id", "prediction_id", "job_id"):
            yield from (each for each in self.of_kind(parameter) if each is not NOTHING)

    def put_back(self) -> None:
        """Let everybody be again what they were, and logged in."""

        async def work(store: Store) -> None:
            await store._database.within(Scope.of_all()).write(self._put_back)

        asyncio.run(self._in_store(work))

    def _put_back(self, connection: sa.Connection) -> None:
        shut = [each.id for (_, name), each in self.organizations.items() if name == "shut"]
        left = [each.id for (_, name), each in self.people.items() if name == "left"]
        for table, ended in ((tenants, [self.tenants["gone"].id]), (organizations, shut), (users, left)):
            connection.execute(table.update().values(is_active=table.c.id.not_in(ended)))
        roles = sa.case({each.id: each.role for each in self.people.values()}, value=users.c.id)
        theirs = users.c.id.in_([each.id for each in self.people.values()])
        connection.execute(users.update().where(theirs).values(role=roles))
        connection.execute(refresh_tokens.update().values(revoked_at=None))
        for table, things in ((companies, self.companies), (predictions, self.predictions)):
            ours = table.c.id.in_([each.id for each in things])
            connection.execute(table.update().where(ours).values(deleted_at=None))
        connection.execute(jobs.update().values(status="waiting", finished_at=None, cancelled_at=None))
        connection.execute(company_access.delete())
        granted = {"granted_at": START, "granted_by": "nobody"}
        for each in self.companies:
            if each.user_id is not None:
                tenant_id = self.tenants[each.place].id
                row = {"company_id": each.id, "user_id": each.user_id, "tenant_id": tenant_id}
                connection.execute(company_access.insert().values(row | granted))

    async def _in_store(
        self, work: Callable[[Store], Awaitable[None]], tenant_id: str = DEFAULT_TENANT
    ) -> None:
        async with open_store(self.url, tenant_id=tenant_id) as store:
            await work(store)


def settle_in(url: str, folder: Path) -> Population:
    """Fill a database, which its owner reaches at `url`; signing keys come into `folder`."""
    population = Population(url, folder)
    asyncio.run(_settle_in(population))
    population.put_back()
    return population


@contextmanager
def served(population: Population) -> Iterator[RunningService]:
    """Serve the API for `near`: on PostgreSQL as the application's role, which owns nothing."""
    url = sa.make_url(population.url)
    if url.get_backend_name() == "postgresql":
        role = f"app_{url.database}"

        async def make_role(store: Store) -> None:
            for statement in role_sql(role):
                await Given(store).sql(statement)

        asyncio.run(population._in_store(make_role))
        url = url.set(username=role)
    given = settings(
        population.folder,
        database_url=url.render_as_string(hide_password=False),
        jwt_keys_file=population.folder / "jwt.json",
        allowed_sources=["file:///"],
        limit_changes="100000/second",
        auth="required",
    )
    with running_service(given) as service:
        yield service


async def _predictions(population: Population) -> None:
    """Give each place companies: a member's, assigned to a user, a colleague's, another organisation's."""
    for place in PLACES:
        for maker, assigned in (("org_member", "user"), ("org_admin", None), ("neighbour", None)):
            await population._in_store(partial(_predict, population, place, maker, assigned))


async def _predict(
    population: Population, place: str, maker: str, assigned: str | None, store: Store
) -> None:
    """Let somebody predict the default of a company that is theirs."""
    person, tenant_id = population.people[place, maker], population.tenants[place].id
    principal = Principal(
        kind=PrincipalKind.USER,
        id=person.id,
        tenant_id=tenant_id,
        organization_id=person.organization_id,
        role=person.role,
    )
    scope = Scope.of_organization(tenant_id, person.organization_id or "")
    theirs = store.seen_by(Actor(principal=principal), scope)
    made = await theirs.default_risk.predictions.record(a_prediction(maker.upper()), model=MODEL)
    thing = Thing(
        id=made.company.id,
        place=place,
        organization_id=person.organization_id,
        user_id=population.people[place, assigned].id if assigned else None,
        made_by=person.id,
    )
    population.companies.append(thing)
    population.predictions.append(replace(thing, id=made.id))
    job = await theirs.default_risk.jobs.create(a_request(), MODEL, [])
    population.jobs.append(replace(thing, id=job.id, user_id=None))


async def _settle_in(population: Population) -> None:
    add_key(population.folder / "jwt.json")
    clock = SystemClock()
    tokens = AccessTokens(SigningKeys(population.folder / "jwt.json", clock), "risk-alerts", clock)

    async def people(store: Store) -> None:
        access = all_seeing(store).access
        # With the first person comes the process's own tenant.
        await add_person(store, "first", Role.SUPER_ADMIN)
        for place in PLACES:
            if place == "near":
                tenant_id = DEFAULT_TENANT
            else:
                tenant_id = (await access.tenants.create(name=place, code=place, now=START)).id
            population.tenants[place] = Thing(id=tenant_id, place=place)
            for name in ("north", "south", "shut"):
                made = await access.organizations.create(tenant_id, name=name, code=name, now=START)
                thing = Thing(id=made.id, place=place, organization_id=made.id)
                population.organizations[place, name] = thing
            for name, (role, home) in _RESIDENTS.items():
                organization_id = population.organizations[place, home].id if home else None
                unique = f"{name.replace(' ', '-')}-{place}"
                user = await add_person(
                    store, unique, role, tenant_id=tenant_id, organization_id=organization_id
                )
                population.people[place, name] = Thing(
                    id=user.id, place=place, organization_id=organization_id, user_id=user.id, role=role
                )
                digest = hashlib.sha256(user.id.encode()).hexdigest()
                log_in = await access.sessions.open(user.id, digest)
                who = NOBODYS[2] if (name, place) == ("tenant_admin", "gone") else name
                if place != "gone" or who in NOBODYS:
                    key = who if who in NOBODYS else f"{name} {place}"
                    population.tokens.setdefault(key, tokens.issue(user.id, log_in.family_id))

    await population._in_store(people)
    await _predictions(population)
    for place, tenant in population.tenants.items():
        run_id, alert = f"run-{place}", replace(an_alert("acme"), tenant_id=tenant.id)

        async def run(store: Store, run_id: str = run_id, alert: Any = alert) -> None:
            given = Given(store)
            lease, entries = await given.a_recorded(run_id, routed(alert))
            await given.claimed(lease, entries)
            await given.settled(lease, the_answer(entries[0], DeliveryStatus.UNKNOWN))
            await given.finished(run_id, alerts=1)

        await population._in_store(run, tenant.id)
        population.runs[place] = Thing(id=run_id, place=place)
        population.alerts[place] = Thing(id=alert.alert_id, place=place)
