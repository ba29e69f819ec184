"""Runs whose process has died, stopped, or is asked to stop: closed, resumed, released, cancelled."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from service.domain.delivery_status import DeliveryStatus
from service.domain.run import RunStatus
from service.store.database.database import DatabaseClock
from service.store.part import Part, reads, writes
from service.store.runs.state import (
    IS_RELEASED,
    WAITS_FOR_THE_NEXT_RUN,
    Lease,
    close_dead,
    expired,
    lose_what_is_on_its_way,
    take_lease,
    update_running,
)
from service.store.schema.tables import outbox, runs

LONGEST_IN_LEASES: Final = 10
"""No process is expected to have a `LEASE_S` that is longer by this factor than another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescuedRun:
    """A run that was closed because nothing had been heard of it; `in_doubt` alerts may have arrived."""

    run_id: str
    in_doubt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedRun:
    """A run that another process began and this one brings to its end; `in_doubt` alerts may have arrived."""

    lease: Lease
    kind: str
    period: str | None
    in_doubt: int
    to_send: int
    """Alerts that are still in the outbox."""
    support_notified: bool
    """Whether support was notified of what has no channel."""


class Rescue(Part):
    """What any process can do about runs whose own process has died or stopped."""

    async def close_dead(
        self, *, now: datetime, resumable_since: datetime | None = None, at_work: Collection[str] = ()
    ) -> list[RescuedRun]:
        """Close every run whose process has died, but for those that `resumable` names.

        Those that the asking process has `at_work` itself are left alone.
        """

        def dead(connection: sa.Connection) -> list[str]:
            spared = self._resumable(connection, resumable_since) if resumable_since else []
            return [
                run_id for run_id in expired(connection, self._tenant_id, at_work) if run_id not in spared
            ]

        def work(connection: sa.Connection) -> list[RescuedRun]:
            return [
                RescuedRun(run_id=run_id, in_doubt=close_dead(connection, self._tenant_id, run_id, now))
                for run_id in dead(connection)
            ]

        # A look first: the sweep of an idle service must not stand in line with the writers.
        return await self.database.write(work) if await self.database.read(dead) else []

    async def shorten_leases(self, *, lease_s: float) -> None:
        """Shorten the leases that end further ahead than they can: the database's clock was put back.

        A dead run would hold its month for as long as the clock was put back by. To shorten is not to end:
        who is alive renews its lease in time, also where its own `lease_s` is several times the asking one's.
        """
        latest = DatabaseClock() + LONGEST_IN_LEASES * lease_s
        at_work = sa.and_(runs.c.tenant_id == self._tenant_id, runs.c.status == RunStatus.RUNNING)
        too_long = sa.and_(at_work, runs.c.expires_at > latest)

        def is_there(connection: sa.Connection) -> bool:
            return connection.scalar(sa.select(runs.c.run_id).where(too_long).limit(1)) is not None

        if await self.database.read(is_there):
            shorten = runs.update().where(too_long).values(expires_at=latest)
            await self.database.write(lambda connection: connection.execute(shorten))

    @reads
    def resumable(self, *, since: datetime, kinds: Collection[str]) -> list[str]:
        """Return the runs whose process died after their alerts were recorded, begun `since` then.

        Those of another kind than these are left to a process that knows it.
        """
        known = runs.c.kind.in_(list(kinds))
        return self._resumable(self.connection, since, known)

    @writes
    def resume(self, run_id: str, *, since: datetime, now: datetime, lease_s: float) -> ResumedRun | None:
        """Take over a run that `resumable` named; None when somebody else was faster."""
        if run_id not in self._resumable(self.connection, since):
            return None
        row = self.connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).one()
        tenant_id = self._tenant_id
        in_doubt = lose_what_is_on_its_way(self.connection, tenant_id, run_id, now)
        lease = take_lease(self.connection, tenant_id, run_id, row.scope, row.lease or row.scope)
        update_running(self.connection, tenant_id, run_id, {"expires_at": DatabaseClock() + lease_s})
        to_send = sa.select(sa.func.count()).where(
            outbox.c.tenant_id == tenant_id,
            outbox.c.run_id == run_id,
            outbox.c.status == DeliveryStatus.PENDING,
            ~WAITS_FOR_THE_NEXT_RUN,
        )
        return ResumedRun(
            lease=lease,
            kind=row.kind,
            period=row.period,
            in_doubt=in_doubt,
            to_send=self.connection.scalar(to_send) or 0,
            support_notified=row.support_notified_at is not None,
        )

    def _resumable(
        self, connection: sa.Connection, since: datetime, *conditions: sa.ColumnElement[bool]
    ) -> list[str]:
        resumable = sa.select(runs.c.run_id).where(
            runs.c.tenant_id == self._tenant_id, IS_RELEASED, runs.c.started_at >= since, *conditions
        )
        return list(connection.scalars(resumable))
