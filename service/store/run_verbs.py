"""Runs and their leases: who works on a month, whether it still lives, and how it ended.

A run is alive as long as its `expires_at` lies ahead by the database's clock. The holder of a month is the
run named in `month_leases`, for as long as that run is alive and running; every new holder raises the epoch,
and so does whoever resumes a run: what the process before still tries to write is refused.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from service.delivery import DeliveryStatus, Outcome, Reason
from service.errors import (
    CancelledRunError,
    InterruptedRunError,
    OvertakenError,
    RunFinishedError,
    RunNotFoundError,
)
from service.evaluation import Evaluation, RunWarning
from service.ledger import Ledger
from service.month import Month
from service.run_record import RunError, RunRequest, RunStatus
from service.store.database import Database, DatabaseClock
from service.store.request_verbs import bind_key
from service.store.rows import evaluation_row, row_ledger, run_warnings, warnings_text
from service.store.schema import alert_outcomes, month_leases, run_outcomes, runs

_CLOSE_OUTCOMES = sa.text("""
    UPDATE run_outcomes SET
        outcome = CASE a.status WHEN 'sent' THEN 'sent' WHEN 'failed' THEN 'failed'
                                WHEN 'unknown' THEN 'unknown' ELSE 'unsent' END,
        reason = CASE a.status WHEN 'sent' THEN NULL ELSE a.error END,
        error_message = CASE a.status WHEN 'sent' THEN NULL ELSE a.error_message END,
        http_status = a.http_status,
        attempts = (SELECT count(*) FROM attempts t WHERE t.alert_id = a.id AND t.run_id = :run_id)
    FROM alert_outcomes a
    WHERE run_outcomes.run_id = :run_id AND run_outcomes.outcome = 'pending' AND a.id = run_outcomes.alert_id
""")

# The POSTs that were on their way when the run ended: nobody saw their answers.
_RECORD_LOST_ATTEMPTS = sa.text("""
    INSERT INTO attempts (alert_id, claim, run_id, claimed_at, settled_at, status, error, error_message)
    SELECT id, claims, run_id, claimed_at, :now, 'unknown', 'interrupted', :message
    FROM alert_outcomes WHERE run_id = :run_id AND status = 'sending'
""").bindparams(sa.bindparam("now", type_=alert_outcomes.c.updated_at.type))

_DIED = "the process that ran it stopped before it had finished"
_LOST = "the run ended while the request was on its way"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthLease:
    """The right to send a month's alerts, held by one run at a time."""

    run_id: str
    month: Month
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RescuedRun:
    """A run that was closed because nothing had been heard of it; `in_doubt` alerts may have arrived."""

    run_id: str
    in_doubt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedRun:
    """A run that another process began and this one brings to its end; `in_doubt` alerts may have arrived."""

    lease: MonthLease
    request: RunRequest
    in_doubt: int
    to_send: int
    """Alerts that are still in the outbox."""
    is_noticed: bool
    """Whether support has been told what has no channel."""


class RunVerbs:
    """What can be done to a run."""

    _database: Database

    async def begin_run(
        self, run_id: str, request: RunRequest, *, started_at: datetime, lease_s: float
    ) -> None:
        """Record that a run has begun; it counts as alive for `lease_s` seconds.

        Raises RequestedBeforeError and IdempotencyKeyReusedError, as `bind_key` does; no run has begun then.
        """

        def work(connection: sa.Connection) -> None:
            bind_key(connection, run_id, request)
            connection.execute(
                runs.insert().values(
                    run_id=run_id,
                    source_uri=request.source_uri,
                    month=str(request.month),
                    dry_run=request.dry_run,
                    status=RunStatus.RUNNING,
                    started_at=started_at,
                    expires_at=DatabaseClock() + lease_s,
                )
            )

        await self._database.write(work)

    async def keep_alive(
        self, run_id: str, *, lease_s: float, progress: dict[str, Any], epoch: int | None = None
    ) -> bool:
        """Say that a run is still at work, and how far it is; returns whether it has been cancelled.

        `epoch` is that of its lease, once it has one. Raises OvertakenError when it was closed or resumed
        elsewhere.
        """
        beat = {"expires_at": DatabaseClock() + lease_s, "progress": orjson.dumps(progress).decode()}

        def work(connection: sa.Connection) -> bool:
            _update_running(connection, run_id, beat, epoch=epoch)
            return connection.scalar(_cancelled_at(run_id)) is not None

        return await self._database.write(work)

    async def is_cancelled(self, run_id: str) -> bool:
        """Tell whether somebody asked that nothing more of the run leaves."""
        return await self._database.read(
            lambda connection: connection.scalar(_cancelled_at(run_id)) is not None
        )

    async def cancel_run(self, run_id: str, *, now: datetime) -> None:
        """Let nothing more of a run be claimed; a run whose process has died is closed at once.

        Raises RunNotFoundError and RunFinishedError. To cancel twice is to cancel once.
        """

        def work(connection: sa.Connection) -> None:
            # No id holds NUL, and PostgreSQL does not even take the question.
            known = sa.select(runs.c.status).where(runs.c.run_id == run_id.replace("\0", "\ufffd"))
            status = connection.scalar(known)
            if status is None:
                raise RunNotFoundError(f"no run has the id {run_id[:60]!r}")
            if status != RunStatus.RUNNING:
                raise RunFinishedError(f"run {run_id} has finished: it {status}")
            asked = {"cancelled_at": sa.func.coalesce(runs.c.cancelled_at, now)}
            _update_running(connection, run_id, asked)
            if run_id in _expired(connection):
                _close_dead(connection, run_id, now)

        await self._database.write(work)

    async def acquire_month(self, run_id: str, month: Month, *, now: datetime) -> MonthLease | str:
        """Take the month for a run, closing a holder that has died; else return the id of the living holder.

        Asked again by the holder it is the same lease. Raises OvertakenError when the run itself was closed
        meanwhile, and CancelledRunError when it was cancelled.
        """

        def work(connection: sa.Connection) -> MonthLease | str:
            check_running(connection, run_id)
            if connection.scalar(_cancelled_at(run_id)) is not None:
                raise cancelled(run_id)
            lease = connection.execute(
                sa.select(month_leases.c.run_id, month_leases.c.epoch, runs.c.status)
                .outerjoin(runs, runs.c.run_id == month_leases.c.run_id)
                .where(month_leases.c.month == str(month))
            ).one_or_none()
            if lease is not None and lease.run_id == run_id:
                return MonthLease(run_id=run_id, month=month, epoch=lease.epoch)
            if lease is not None and lease.status == RunStatus.RUNNING:
                if lease.run_id not in _expired(connection):
                    return str(lease.run_id)
                _close_dead(connection, lease.run_id, now)
            if lease is None:
                connection.execute(month_leases.insert().values(month=str(month), epoch=0, run_id=run_id))
            return _take_month(connection, run_id, month)

        return await self._database.write(work)

    async def rescue_runs(
        self, *, now: datetime, resumable_since: datetime | None = None
    ) -> list[RescuedRun]:
        """Close every run whose process has died, but for those that `resumable_runs` names."""

        def dead(connection: sa.Connection) -> list[str]:
            spared = _resumable(connection, resumable_since) if resumable_since else []
            return [run_id for run_id in _expired(connection) if run_id not in spared]

        def work(connection: sa.Connection) -> list[RescuedRun]:
            return [
                RescuedRun(run_id=run_id, in_doubt=_close_dead(connection, run_id, now))
                for run_id in dead(connection)
            ]

        # A look first: the sweep of an idle service must not stand in line with the writers.
        return await self._database.write(work) if await self._database.read(dead) else []

    async def resumable_runs(self, *, since: datetime) -> list[str]:
        """Return the runs whose process died after their alerts were recorded, begun `since` then."""
        return await self._database.read(lambda connection: _resumable(connection, since))

    async def resume_run(
        self, run_id: str, *, since: datetime, now: datetime, lease_s: float
    ) -> ResumedRun | None:
        """Take over a run that `resumable_runs` named; None when somebody else was faster."""

        def work(connection: sa.Connection) -> ResumedRun | None:
            if run_id not in _resumable(connection, since):
                return None
            row = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).one()
            in_doubt = _lose_what_is_on_its_way(connection, run_id, now)
            month = Month.parse(row.month)
            lease = _take_month(connection, run_id, month)
            _update_running(connection, run_id, {"expires_at": DatabaseClock() + lease_s})
            to_send = sa.select(sa.func.count()).where(
                alert_outcomes.c.run_id == run_id, alert_outcomes.c.status == DeliveryStatus.PENDING
            )
            return ResumedRun(
                lease=lease,
                request=RunRequest(source_uri=row.source_uri, month=month),
                in_doubt=in_doubt,
                to_send=connection.scalar(to_send) or 0,
                is_noticed=row.noticed_at is not None,
            )

        return await self._database.write(work)

    async def release_run(self, lease: MonthLease, *, now: datetime) -> None:
        """Give a recorded run up unfinished, for whoever resumes it or takes its month, at once.

        What is still on its way is in doubt from here on. Raises OvertakenError when the lease was lost.
        """

        def work(connection: sa.Connection) -> None:
            check_holds(connection, lease)
            _lose_what_is_on_its_way(connection, lease.run_id, now)
            _update_running(connection, lease.run_id, {"expires_at": 0.0})

        await self._database.write(work)

    async def note_evaluation(
        self, run_id: str, evaluation: Evaluation, *, plan_digest: str | None = None
    ) -> None:
        """Store what the evaluation of a run found, before anything is done about it.

        Raises OvertakenError when the run was closed meanwhile.
        """
        found = evaluation_row(evaluation) | {"plan_digest": plan_digest}
        await self._database.write(lambda connection: _update_running(connection, run_id, found))

    async def note_notice(self, run_id: str, *, now: datetime) -> None:
        """Store that support has been told what had no channel; raises OvertakenError."""
        await self._database.write(
            lambda connection: _update_running(connection, run_id, {"noticed_at": now})
        )

    async def finish_run(
        self,
        run_id: str,
        *,
        now: datetime,
        error: RunError | None,
        warnings: tuple[RunWarning, ...] = (),
        epoch: int | None = None,
    ) -> None:
        """Close a run for good, adding `warnings`: after this nothing it reported changes.

        `epoch` is that of its lease, once it has one. Raises OvertakenError when another process closed or
        resumed it first, and LedgerImbalanceError (nothing is written then) when the run succeeded but does
        not add up.
        """

        def work(connection: sa.Connection) -> None:
            check_running(connection, run_id, epoch)
            found = connection.execute(
                sa.select(runs.c.row_ledger, runs.c.warnings).where(runs.c.run_id == run_id)
            ).one()
            _lose_what_is_on_its_way(connection, run_id, now)
            outcomes = _close_outcomes(connection, run_id)
            rows = row_ledger(found.row_ledger)
            if error is None and rows is not None:
                counted = {outcome: outcomes.get(outcome, 0) for outcome in Outcome}
                Ledger(rows=rows, outcomes=counted).check()
            closing = {
                "status": RunStatus.FAILED if error else RunStatus.SUCCEEDED,
                "finished_at": now,
                "error": error and error.code,
                "error_detail": error and error.detail,
                "warnings": warnings_text(run_warnings(found.warnings) + warnings),
                "outcome_counts": orjson.dumps(outcomes).decode(),
            }
            _update_running(connection, run_id, closing)

        await self._database.write(work)


def check_running(connection: sa.Connection, run_id: str, epoch: int | None = None) -> None:
    """Raise OvertakenError when the run was closed, or resumed under another epoch, by another process."""
    _check(connection, run_id, _of_run(run_id, epoch))


def check_holds(connection: sa.Connection, lease: MonthLease) -> None:
    """Raise OvertakenError when the lease was lost."""
    check_running(connection, lease.run_id, lease.epoch)


def _check(connection: sa.Connection, run_id: str, condition: sa.ColumnElement[bool]) -> None:
    if connection.scalar(sa.select(runs.c.status).where(condition)) != RunStatus.RUNNING:
        raise _overtaken(run_id)


def _of_run(run_id: str, epoch: int | None) -> sa.ColumnElement[bool]:
    # Without a lease there is nothing to lose it to: such a run can be closed, but not resumed.
    return (
        runs.c.run_id == run_id if epoch is None else sa.and_(runs.c.run_id == run_id, runs.c.epoch == epoch)
    )


def _update_running(
    connection: sa.Connection, run_id: str, values: dict[str, Any], *, epoch: int | None = None
) -> None:
    """Write down something about a run, unless it is closed or resumed: then raise OvertakenError."""
    of_run = runs.update().where(_of_run(run_id, epoch), runs.c.status == RunStatus.RUNNING)
    if connection.execute(of_run.values(**values)).rowcount == 0:
        raise _overtaken(run_id)


def _overtaken(run_id: str) -> OvertakenError:
    return OvertakenError(f"run {run_id} was closed or taken over by another process")


def cancelled(run_id: str) -> CancelledRunError:
    """Return the error that ends a cancelled run."""
    return CancelledRunError(f"run {run_id} was cancelled: what had not left by then stays in the outbox")


def _cancelled_at(run_id: str) -> sa.Select[Any]:
    return sa.select(runs.c.cancelled_at).where(runs.c.run_id == run_id)


def _take_month(connection: sa.Connection, run_id: str, month: Month) -> MonthLease:
    """Make the run the holder of its month, under an epoch that no holder had before."""
    of_month = month_leases.update().where(month_leases.c.month == str(month))
    epoch = connection.scalar(
        of_month.values(epoch=month_leases.c.epoch + 1, run_id=run_id).returning(month_leases.c.epoch)
    )
    _update_running(connection, run_id, {"epoch": epoch})
    return MonthLease(run_id=run_id, month=month, epoch=epoch)


def _expired(connection: sa.Connection) -> list[str]:
    expired = sa.select(runs.c.run_id).where(
        runs.c.status == RunStatus.RUNNING, runs.c.expires_at < DatabaseClock()
    )
    return list(connection.scalars(expired))


def _resumable(connection: sa.Connection, since: datetime) -> list[str]:
    resumable = sa.select(runs.c.run_id).where(
        runs.c.status == RunStatus.RUNNING,
        runs.c.expires_at < DatabaseClock(),
        runs.c.recorded_at.is_not(None),
        runs.c.cancelled_at.is_(None),
        runs.c.started_at >= since,
    )
    return list(connection.scalars(resumable))


def _close_dead(connection: sa.Connection, run_id: str, now: datetime) -> int:
    """Close a run that nothing was heard of any more, and return how many of its alerts are in doubt."""
    in_doubt = _lose_what_is_on_its_way(connection, run_id, now)
    was_cancelled = connection.scalar(_cancelled_at(run_id)) is not None
    error = cancelled(run_id) if was_cancelled else InterruptedRunError(_DIED)
    closing = {
        "status": RunStatus.FAILED,
        "finished_at": now,
        "error": error.code,
        "error_detail": error.detail,
        "outcome_counts": orjson.dumps(_close_outcomes(connection, run_id)).decode(),
    }
    _update_running(connection, run_id, closing)
    return in_doubt


def _lose_what_is_on_its_way(connection: sa.Connection, run_id: str, now: datetime) -> int:
    """Turn what a run was sending to `unknown`: Slack may or may not have it."""
    connection.execute(_RECORD_LOST_ATTEMPTS, {"run_id": run_id, "now": now, "message": _LOST})
    lost = connection.execute(
        alert_outcomes.update()
        .where(alert_outcomes.c.run_id == run_id, alert_outcomes.c.status == "sending")
        .values(status="unknown", error=Reason.INTERRUPTED, error_message=_LOST, updated_at=now)
    )
    return lost.rowcount


def _close_outcomes(connection: sa.Connection, run_id: str) -> dict[str, int]:
    """Decide every outcome that the outbox has decided, and count them as `count_outcomes` does."""
    connection.execute(_CLOSE_OUTCOMES, {"run_id": run_id})
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
