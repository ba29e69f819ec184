"""PostgreSQL's own wall: without any condition in a statement, a tenant's transactions see its rows only.

As a role that neither owns the tables nor is a superuser: those who are would see everything.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest
import sqlalchemy as sa

from service.domain.default_risk.job import JobBatch, JobRow, RowOutcome
from service.domain.default_risk.prediction import NewPredictions
from service.domain.delivery_status import AmbiguousSends, DeliveryStatus, SettleAs
from service.domain.errors import DatabaseOutdatedError, DatabaseUnusableError
from service.domain.evaluation import Checkpoint
from service.domain.identity.actor import Actor
from service.domain.identity.api_key import KeySecret
from service.domain.identity.permission import KeyScope, Role
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import AlertStep
from service.domain.tenant import DEFAULT_TENANT
from service.store.part import Part
from service.store.schema import tables as schema
from service.store.schema.access_tables import access_state
from service.store.schema.default_risk_tables import model_activations, risk_models
from service.store.schema.roles import role_sql
from service.store.schema.tables import health_probe, lanes, last_commits, metadata, runs
from service.store.store import Store, open_store
from tests.support.alerts import an_alert
from tests.support.databases import PostgresqlServer
from tests.support.given import NOW, Given, an_evaluation, routed, the_answer
from tests.support.jobs import a_request
from tests.support.people import add_person
from tests.support.predictions import MODEL, a_prediction

OTHER: Final = "11111111-2222-4333-8444-555555555555"
NOBODYS: Final = {access_state, health_probe, lanes, last_commits, model_activations, risk_models}
"""Tables whose rows belong to no tenant."""


@pytest.fixture
def owner_url(postgresql_server: PostgresqlServer) -> str:
    """Return a database as its owner reaches it."""
    return postgresql_server.new()


@pytest.fixture
async def app_url(owner_url: str) -> str:
    """Return it as the application's role reaches it, made as `db upgrade` says."""
    url = sa.make_url(owner_url)
    role = f"app_{url.database}"
    async with open_store(owner_url) as store:
        for statement in role_sql(role):
            await Given(store).sql(statement)
    return url.set(username=role).render_as_string(hide_password=False)


@pytest.fixture
async def ours(app_url: str) -> AsyncIterator[Store]:
    """Open the default tenant's store as the application."""
    async with open_store(app_url) as store:
        yield store


@pytest.fixture
async def theirs(app_url: str) -> AsyncIterator[Store]:
    """Open another tenant's."""
    async with open_store(app_url, tenant_id=OTHER) as store:
        yield store


async def a_life(store: Store, run_id: str, tenant_id: str) -> None:
    """Leave a row in every table: a run from its begin to its end, with all that people do about it."""
    given = Given(store)
    alert, gone = (replace(an_alert(name), tenant_id=tenant_id) for name in ("acme", "gone"))
    lease = await given.a_lease(f"{run_id}0")
    await given.recorded(lease, routed(alert, gone))
    entries = await given.pending(lease)
    await given.claimed(lease, entries[:1])
    await given.settled(lease, the_answer(entries[0], DeliveryStatus.UNKNOWN))
    await given.finished(f"{run_id}0", alerts=2)
    await store.alert_work.take(alert.alert_id, AlertStep.ACKNOWLEDGE, note=None, by="ann")
    await store.doubts.settle(alert.alert_id, SettleAs.SENT, by="ann", note=None, now=NOW)
    lease = await given.a_lease(run_id)
    left = Checkpoint(begins="a", until="b", content=b"c", digest="d", follows=None)
    await store.runs.note_evaluation(run_id, an_evaluation(1))
    hold = AmbiguousSends.HOLD
    await store.recording.record(
        lease, routed(alert), ambiguous=hold, restatable=(), now=NOW, checkpoint=left
    )
    await given.finished(run_id, alerts=1)
    key = {"name": "ci", "scopes": [KeyScope.READ], "now": NOW, "expires_at": None}
    await store.access.keys.create(KeySecret.new(), **key)  # type: ignore[arg-type]
    everybody = store.seen_by(Actor.system(tenant_id), Scope.of_all())
    place = await everybody.access.organizations.create(tenant_id, name="North", code="north", now=NOW)
    made = await store.default_risk.predictions.record(a_prediction(), model=MODEL, organization_id=place.id)
    user = await add_person(store, run_id, Role.USER, tenant_id=tenant_id)
    await everybody.default_risk.grants.grant(made.company.id, user.id)
    await store.default_risk.jobs.create(a_request(organization_id=place.id), MODEL, [b"a part"])
    claimed = await everybody.default_risk.job_work.take(tenant_id, since=NOW, lease_s=3600, most_alerts=100)
    assert claimed is not None
    row = JobRow(row=2, outcome=RowOutcome.INVALID, company_symbol=None, problem="bad", prediction_id=None)
    new = NewPredictions.of(a_prediction("B"))
    batch = JobBatch(numbers=[3], predictions=new, abstained={}, refused=[row], next_row=4)
    await store.default_risk.job_work.record(claimed, batch, MODEL, lease_s=3600)


async def rows(store: Store, scope: Scope | None) -> dict[str, int]:
    """Count what a transaction sees that has no condition at all."""

    def work(connection: sa.Connection) -> dict[str, int]:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table not in NOBODYS
        }

    database = store._database if scope is None else store._database.within(scope)
    return await database.read(work)


async def test_a_transaction_sees_its_own_tenants_rows(ours: Store, theirs: Store) -> None:
    """Every table by itself; none where it names no tenant; all where it says so."""
    await a_life(ours, "ours", DEFAULT_TENANT)
    before = await rows(ours, Scope.of_tenant(DEFAULT_TENANT))
    assert await rows(theirs, Scope.of_system(OTHER)) == dict.fromkeys(before, 0)
    await a_life(theirs, "theirs", OTHER)
    empty = {name for name, count in before.items() if not count}
    assert empty == {"idempotency_keys", "refresh_tokens"}
    assert await rows(ours, Scope.of_organization(DEFAULT_TENANT, "o1")) == before
    assert await rows(theirs, Scope.of_tenant(OTHER)) == before
    assert await rows(ours, None) == dict.fromkeys(before, 0)
    assert await rows(ours, Scope.of_all()) == {name: 2 * count for name, count in before.items()}


async def test_without_the_conditions_nothing_foreign_is_seen(
    ours: Store, theirs: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verbs themselves, with their WHERE taken away: the second wall stands alone."""
    await a_life(ours, "ours", DEFAULT_TENANT)
    await a_life(theirs, "theirs", OTHER)
    monkeypatch.setattr(Part, "_sees", lambda *_, **__: sa.true())
    listed = await ours.history.list_runs(limit=9)
    assert {run.run_id for run in listed.items} == {"ours", "ours0"}
    assert [key.tenant_id for key in await ours.access.keys.list()] == [DEFAULT_TENANT]
    assert {entry.tenant_id for entry in (await theirs.audit.list(limit=99)).items} == {OTHER}


async def test_rows_of_another_tenant_cannot_be_written(ours: Store) -> None:
    """Neither slipped in under its name, nor given away."""
    await a_life(ours, "ours", DEFAULT_TENANT)

    def insert(connection: sa.Connection) -> Any:
        lease = {"tenant": OTHER}
        return connection.execute(
            sa.text("INSERT INTO leases (tenant_id, scope, epoch, run_id) VALUES (:tenant, 's', 1, 'r')"),
            lease,
        )

    def give_away(connection: sa.Connection) -> Any:
        return connection.execute(runs.update().values(tenant_id=OTHER))

    database = ours._database.within(Scope.of_tenant(DEFAULT_TENANT))
    for work in (insert, give_away):
        with pytest.raises(DatabaseUnusableError, match="may not do what is needed"):
            await database.write(work)


@pytest.mark.parametrize(
    "statement",
    [
        *("UPDATE audit SET principal = 'eve'", "DELETE FROM audit", "DELETE FROM access_state"),
        *("UPDATE risk_models SET content = ''", "DELETE FROM risk_models"),
    ],
)
async def test_the_application_changes_no_audit(ours: Store, statement: str) -> None:
    """Nor does it open the door again, or change a model: it has no grant for that."""
    await a_life(ours, "ours", DEFAULT_TENANT)
    with pytest.raises(DatabaseUnusableError, match="may not do what is needed"):
        await ours._database.within(Scope.of_all()).write(
            lambda connection: connection.execute(sa.text(statement))
        )


async def test_who_is_not_the_owner_refuses_an_old_schema(
    app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of migrating it: that is for `db upgrade`, as the owner."""
    monkeypatch.setattr(schema, "NEWEST_REVISION", "9998")
    with pytest.raises(DatabaseOutdatedError, match="as the owner of the tables"):
        async with open_store(app_url):
            pass
    monkeypatch.undo()
    async with open_store(app_url) as store:
        assert await store.health() in {"ok", "busy"}
