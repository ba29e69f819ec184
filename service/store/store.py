"""The store: every part of what is written down, over one database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, Self

import sqlalchemy as sa

from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.store.database.database import Database
from service.store.database.failures import DatabaseBusyError
from service.store.part import HasParts, Late
from service.store.schema.tables import health_probe
from service.store.schema.upgrade import open_database, open_database_to_read

if TYPE_CHECKING:
    from service.store.access.access import Access
    from service.store.alerts.alerts import Alerts
    from service.store.alerts.recovery import OpenAlerts
    from service.store.alerts.run_changes import ChangesOfRuns
    from service.store.alerts.summaries import Summaries
    from service.store.alerts.work import AlertWork
    from service.store.audit import Audit
    from service.store.default_risk.default_risk import DefaultRisk
    from service.store.history import History
    from service.store.ledger_state import LedgerStates
    from service.store.outbox.doubts import Doubts
    from service.store.outbox.message_updates import MessageUpdates
    from service.store.outbox.reconciling import Reconciling
    from service.store.outbox.record import Recording
    from service.store.outbox.send import Outbox
    from service.store.outbox.waiting import Waiting
    from service.store.retention import Retention
    from service.store.runs.checkpoints import Checkpoints
    from service.store.runs.idempotency import Requests
    from service.store.runs.leases import Runs
    from service.store.runs.notices import Notices
    from service.store.runs.rescue import Rescue

PROBE_PATIENCE_S: Final = 2.0
_BALLAST_BYTES: Final = 64 * 1024
"""A database with less room than this left is as good as full."""


class Store(HasParts):
    """Everything that is written down, in one scope; whole transactions only, and every one to its end."""

    runs: "Late[Runs]" = Late("runs.leases:Runs")
    rescue: "Late[Rescue]" = Late("runs.rescue:Rescue")
    requests: "Late[Requests]" = Late("runs.idempotency:Requests")
    notices: "Late[Notices]" = Late("runs.notices:Notices")
    checkpoints: "Late[Checkpoints]" = Late("runs.checkpoints:Checkpoints")
    recording: "Late[Recording]" = Late("outbox.record:Recording")
    outbox: "Late[Outbox]" = Late("outbox.send:Outbox")
    waiting: "Late[Waiting]" = Late("outbox.waiting:Waiting")
    message_updates: "Late[MessageUpdates]" = Late("outbox.message_updates:MessageUpdates")
    doubts: "Late[Doubts]" = Late("outbox.doubts:Doubts")
    reconciling: "Late[Reconciling]" = Late("outbox.reconciling:Reconciling")
    open_alerts: "Late[OpenAlerts]" = Late("alerts.recovery:OpenAlerts")
    changes: "Late[ChangesOfRuns]" = Late("alerts.run_changes:ChangesOfRuns")
    summaries: "Late[Summaries]" = Late("alerts.summaries:Summaries")
    history: "Late[History]" = Late("history:History")
    ledger_states: "Late[LedgerStates]" = Late("ledger_state:LedgerStates")
    alerts: "Late[Alerts]" = Late("alerts.alerts:Alerts")
    alert_work: "Late[AlertWork]" = Late("alerts.work:AlertWork")
    retention: "Late[Retention]" = Late("retention:Retention")
    audit: "Late[Audit]" = Late("audit:Audit")
    access: "Late[Access]" = Late("access.access:Access")
    default_risk: "Late[DefaultRisk]" = Late("default_risk.default_risk:DefaultRisk")

    def __init__(self, database: Database, scope: Scope, actor: Actor) -> None:
        super().__init__(database, scope, actor)
        self._database = database
        self._probe: asyncio.Task[None] | None = None

    def seen_by(self, actor: Actor, scope: Scope) -> Self:
        """Return the same store as an actor sees it: other rows, and another name under what is done."""
        return type(self)(self._database, scope, actor)

    async def health(self) -> Literal["ok", "busy"]:
        """Prove that the database can be read and written; raises DatabaseUnusableError when it cannot.

        `busy` means that somebody else has been writing for as long as a probe can wait, which is no illness.
        """

        def probe(connection: sa.Connection) -> None:
            # Only a real write shows a read-only or full database: SQLite begins IMMEDIATE on both.
            connection.execute(health_probe.delete())
            connection.execute(health_probe.insert().values(id=1, ballast=bytes(_BALLAST_BYTES)))
            connection.execute(health_probe.delete().where(health_probe.c.id == sa.literal(1)))

        # One probe at a time, and none is cut short: a transaction always runs to its end.
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(self._database.write(probe))
        try:
            await asyncio.wait_for(asyncio.shield(self._probe), PROBE_PATIENCE_S)
        except (DatabaseBusyError, TimeoutError):
            return "busy"
        return "ok"

    async def close(self) -> None:
        """Close all connections, after a probe that is still at work."""
        if self._probe is not None:
            await asyncio.gather(self._probe, return_exceptions=True)
        await self._database.close()


@asynccontextmanager
async def open_store(database_url: str, *, tenant_id: str = DEFAULT_TENANT) -> AsyncIterator[Store]:
    """Open a tenant's store, bringing the schema up to date; raises DatabaseUnusableError.

    It sees that tenant's rows, and acts as the process itself.
    """
    async with _opened(await open_database(database_url), tenant_id) as store:
        yield store


@asynccontextmanager
async def open_store_to_read(database_url: str, *, tenant_id: str = DEFAULT_TENANT) -> AsyncIterator[Store]:
    """Open a tenant's store and write nothing: where there is no database it is empty.

    Raises DatabaseUnusableError, DatabaseOutdatedError and DatabaseSchemaNewerError.
    """
    async with _opened(await open_database_to_read(database_url), tenant_id) as store:
        yield store


@asynccontextmanager
async def _opened(database: Database, tenant_id: str) -> AsyncIterator[Store]:
    store = Store(database, Scope.of_system(tenant_id), Actor.system(tenant_id))
    try:
        yield store
    finally:
        await store.close()
