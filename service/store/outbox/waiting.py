"""What waits in the outbox for no evaluation: recorded by whoever had it, taken along by the next outbox run.

Such a row belongs to no run until one takes it, or to a job until that has ended. It has its facts alone:
its message is made when it leaves.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.alert import Alert
from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.run import RunStatus
from service.store.database.database import DatabaseClock
from service.store.part import Part, reads, writes
from service.store.rows import alert_columns, alert_of
from service.store.schema.job_tables import jobs
from service.store.schema.tables import ALERT, IS_OPEN, outbox, runs

OUTBOX: Final = "outbox"
"""The kind of run that takes them."""
MOST: Final = 1000
"""So many leave with one run; the next one takes the rest."""
NOBODYS: Final = ""
"""The run of what no run has taken yet."""
_HEALING: Final = (Reason.SLACK_UNREACHABLE, Reason.SERVER_ERROR, Reason.REQUEST_TIMEOUT, Reason.RATE_LIMITED)
"""Why something failed that may go through a while later."""


def outbox_scope(tenant_id: str) -> str:
    """Return the scope of what a tenant sends outside evaluations."""
    return f"{OUTBOX}:{tenant_id}"


def let_wait(
    connection: sa.Connection, tenant_id: str, alert: Alert, *, now: datetime, part_of: str | None = None
) -> bool:
    """Put an alert into the outbox, in the transaction of whatever it is about; False where it is there.

    `part_of` is the id of the alert that people work on, of which it is an occurrence.
    """
    known = sa.select(outbox.c.id).where(outbox.c.id == alert.alert_id)
    if connection.scalar(known) is not None:
        return False
    connection.execute(outbox.insert().values(waiting_row(tenant_id, alert, now=now, part_of=part_of)))
    return True


def waiting_row(tenant_id: str, alert: Alert, *, now: datetime, part_of: str | None) -> dict[str, Any]:
    """Return the row of the outbox that an alert waits in."""
    row = alert_columns(alert) | {"id": alert.alert_id, "tenant_id": tenant_id, "run_id": NOBODYS}
    row |= {"scope": outbox_scope(tenant_id), "status": DeliveryStatus.PENDING, "position": 0}
    return row | {"alert_id": part_of, "created_at": now, "updated_at": now}


class Waiting(Part):
    """What waits for an outbox run."""

    @writes
    def let_wait(self, alert: Alert, *, now: datetime) -> bool:
        """Put an alert into the outbox by itself; False where it is there already."""
        return let_wait(self.connection, self._tenant_id, alert, now=now)

    @reads
    def to_send(self, types: Collection[str], *, also_in_doubt: bool) -> list[Alert]:
        """Return what a run takes along: what was never tried first, and in the order of recording.

        Those of other `types` are left to a process that knows them, and those of a job until it has ended.
        """
        table = outbox.c
        wanted = [DeliveryStatus.PENDING, DeliveryStatus.FAILED]
        if also_in_doubt:
            wanted.append(DeliveryStatus.UNKNOWN)
        query = (
            sa.select(table.id, *(table[name] for name in ALERT))
            .where(
                table.tenant_id == self._tenant_id,
                # In the words of the index over what is open, and without the one over all of a scope.
                sa.text(IS_OPEN),
                table.status.in_(wanted),
                table.scope + "" == outbox_scope(self._tenant_id),
                table.alert_type.in_(list(types)),
                ~sa.exists().where(jobs.c.id == table.run_id, jobs.c.finished_at.is_(None)),
            )
            .order_by(table.status != DeliveryStatus.PENDING, table.created_at, table.id)
            .limit(MOST)
        )
        return [alert_of(dict(row), row["id"]) for row in self.connection.execute(query).mappings()]

    @reads
    def tenants(self) -> list[str]:
        """Return the tenants in the scope for whom something waits, and no outbox run is at work."""
        at_work = sa.exists().where(
            runs.c.tenant_id == outbox.c.tenant_id,
            runs.c.status == RunStatus.RUNNING,
            runs.c.kind == OUTBOX,
        )
        query = sa.select(outbox.c.tenant_id).where(outbox.c.run_id == NOBODYS, self._sees(outbox), ~at_work)
        return list(self.connection.scalars(query.distinct()))

    @reads
    def with_dead_runs(self) -> list[str]:
        """Return the tenants in the scope with an outbox run that has no heartbeat any more."""
        query = sa.select(runs.c.tenant_id).where(
            self._sees(runs),
            runs.c.status == RunStatus.RUNNING,
            runs.c.kind == OUTBOX,
            runs.c.expires_at < DatabaseClock(),
        )
        return list(self.connection.scalars(query.distinct()))

    @reads
    def left_behind(self, *, since: datetime, before: datetime) -> list[str]:
        """Return the tenants in the scope with a run that ended `before` then and left what may go through.

        Runs that began before `since` are left alone: what they left goes with the next new alert.
        """
        of_run = outbox.c.run_id == runs.c.run_id
        may_go = sa.or_(
            outbox.c.status == DeliveryStatus.PENDING,
            sa.and_(outbox.c.status == DeliveryStatus.FAILED, outbox.c.error.in_(_HEALING)),
        )
        query = sa.select(runs.c.tenant_id).where(
            self._sees(runs),
            runs.c.kind == OUTBOX,
            runs.c.started_at >= since,
            runs.c.status != RunStatus.RUNNING,
            runs.c.finished_at < before,
            sa.exists().where(of_run, may_go),
        )
        return list(self.connection.scalars(query.distinct()))
