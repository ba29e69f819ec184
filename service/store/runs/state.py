"""The state of a run, as its verbs share it: whether it lives, whose its scope is, and how it is closed.

Functions over a connection, each inside the transaction of the verb that calls it, and for its tenant.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.delivery_status import RECONCILER, DeliveryStatus, Reason, SettleAs, Step, starts_of
from service.domain.errors import CancelledRunError, InterruptedRunError, OvertakenError
from service.domain.run import RunStatus
from service.store.database.database import DatabaseClock
from service.store.schema.tables import doubt_settlements, leases, outbox, run_outcomes, runs
from service.store.sql import NamedSql

_SQL: Final = NamedSql(__name__)
_DIED: Final = "the process that ran it stopped before it had finished"
_LOST: Final = "the run ended while the request was on its way"


WAITS_FOR_THE_NEXT_RUN = sa.exists().where(
    doubt_settlements.c.alert_id == outbox.c.id,
    doubt_settlements.c.claim == outbox.c.claims,
    doubt_settlements.c.run_id == outbox.c.run_id,
    doubt_settlements.c.settled_as == SettleAs.RESEND,
    doubt_settlements.c.settled_by != RECONCILER,
)
"""A person had it put back while it was this run's: it is to go out as the scope's next run has it, so that
the run itself leaves it alone, also when it is resumed. What the reconciler puts back, the run sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to send the alerts of a scope, held by one run at a time."""

    run_id: str
    scope: str
    epoch: int
    name: str
    """What is held: the scope, or something that it is part of."""


def check_running(connection: sa.Connection, tenant_id: str, run_id: str, epoch: int | None = None) -> None:
    """Raise OvertakenError when the run was closed, or resumed under another epoch, by another process."""
    of_run = _of_run(tenant_id, run_id, epoch)
    if connection.scalar(sa.select(runs.c.status).where(of_run)) != RunStatus.RUNNING:
        raise _overtaken(run_id)


def check_holds(connection: sa.Connection, tenant_id: str, lease: Lease) -> None:
    """Raise OvertakenError when the lease was lost."""
    check_running(connection, tenant_id, lease.run_id, lease.epoch)


def _of_run(tenant_id: str, run_id: str, epoch: int | None) -> sa.ColumnElement[bool]:
    of_run = sa.and_(runs.c.run_id == run_id, runs.c.tenant_id == tenant_id)
    # Without a lease there is nothing to lose it to: such a run can be closed, but not resumed.
    return of_run if epoch is None else sa.and_(of_run, runs.c.epoch == epoch)


def update_running(
    connection: sa.Connection,
    tenant_id: str,
    run_id: str,
    values: dict[str, Any],
    *,
    epoch: int | None = None,
) -> None:
    """Write down something about a run, unless it is closed or resumed: then raise OvertakenError."""
    of_run = runs.update().where(_of_run(tenant_id, run_id, epoch), runs.c.status == RunStatus.RUNNING)
    if connection.execute(of_run.values(**values)).rowcount == 0:
        raise _overtaken(run_id)


def _overtaken(run_id: str) -> OvertakenError:
    return OvertakenError(f"run {run_id} was closed or taken over by another process")


def cancelled(run_id: str) -> CancelledRunError:
    """Return the error that ends a cancelled run."""
    return CancelledRunError(f"run {run_id} was cancelled: what had not left by then stays in the outbox")


def is_cancelled(connection: sa.Connection, tenant_id: str, run_id: str) -> bool:
    """Return whether somebody cancelled a run."""
    of_run = _of_run(tenant_id, run_id, None)
    return connection.scalar(sa.select(runs.c.cancelled_at).where(of_run)) is not None


def take_lease(connection: sa.Connection, tenant_id: str, run_id: str, scope: str, name: str) -> Lease:
    """Make the run the holder of the lease `name`, under an epoch that no holder had before."""
    of_name = leases.update().where(leases.c.tenant_id == tenant_id, leases.c.scope == name)
    epoch = connection.scalar(
        of_name.values(epoch=leases.c.epoch + 1, run_id=run_id).returning(leases.c.epoch)
    )
    update_running(connection, tenant_id, run_id, {"epoch": epoch})
    return Lease(run_id=run_id, scope=scope, epoch=epoch, name=name)


IS_RELEASED = sa.and_(
    runs.c.status == RunStatus.RUNNING,
    runs.c.recorded_at.is_not(None),
    runs.c.cancelled_at.is_(None),
    runs.c.expires_at < DatabaseClock(),
)
"""Nobody works on the run, and it can be resumed. No row says `released`: a lease runs out by itself."""


def expired(connection: sa.Connection, tenant_id: str, at_work: Collection[str] = ()) -> list[str]:
    """Return the running runs without a heartbeat for longer than their lease.

    Those that the asking process has `at_work` itself are not among them: it knows that they live, even where
    the database was locked for so long that no heartbeat could be written.
    """
    silent = sa.select(runs.c.run_id).where(
        runs.c.tenant_id == tenant_id,
        runs.c.status == RunStatus.RUNNING,
        runs.c.expires_at < DatabaseClock(),
    )
    return [run_id for run_id in connection.scalars(silent) if run_id not in at_work]


def close_dead(connection: sa.Connection, tenant_id: str, run_id: str, now: datetime) -> int:
    """Close a run without a heartbeat, and return how many of its alerts are in doubt."""
    in_doubt = lose_what_is_on_its_way(connection, tenant_id, run_id, now)
    was_cancelled = is_cancelled(connection, tenant_id, run_id)
    error = cancelled(run_id) if was_cancelled else InterruptedRunError(_DIED)
    closing = {
        "status": RunStatus.FAILED,
        "finished_at": now,
        "error": error.code,
        "error_detail": error.detail,
        "outcome_counts": orjson.dumps(close_outcomes(connection, run_id)).decode(),
    }
    update_running(connection, tenant_id, run_id, closing)
    return in_doubt


def lose_what_is_on_its_way(connection: sa.Connection, tenant_id: str, run_id: str, now: datetime) -> int:
    """Turn what a run was sending to `unknown`: Slack may or may not have it."""
    of_run = {"tenant_id": tenant_id, "run_id": run_id}
    _SQL.execute(connection, "record_lost_attempts", {**of_run, "now": now, "message": _LOST})
    lost = connection.execute(
        outbox.update()
        .where(
            outbox.c.tenant_id == tenant_id,
            outbox.c.run_id == run_id,
            outbox.c.status.in_(starts_of(Step.LOSE)),
        )
        .values(status=DeliveryStatus.UNKNOWN, error=Reason.INTERRUPTED, error_message=_LOST, updated_at=now)
    )
    return lost.rowcount


def close_outcomes(connection: sa.Connection, run_id: str) -> dict[str, int]:
    """Write every outcome that the outbox knows, and count them as `count_outcomes` does."""
    _SQL.execute(connection, "close_outcomes", {"run_id": run_id})
    return count_outcomes(connection, run_id)


def count_outcomes(connection: sa.Connection, run_id: str) -> dict[str, int]:
    """Count a run's alerts per outcome as its own rows have it; `unknown_region` counts within `failed`."""
    counted = connection.execute(
        sa.select(run_outcomes.c.outcome, run_outcomes.c.reason, sa.func.count())
        .where(run_outcomes.c.run_id == run_id)
        .group_by(run_outcomes.c.outcome, run_outcomes.c.reason)
    )
    outcomes: dict[str, int] = {}
    for outcome, reason, count in counted:
        outcomes[outcome] = outcomes.get(outcome, 0) + count
        if reason == Reason.UNKNOWN_REGION:
            outcomes[reason] = outcomes.get(reason, 0) + count
    return outcomes
