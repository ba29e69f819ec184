"""Runs and their leases: who works on a month, whether it still lives, and how it ended.

A run is alive as long as its `expires_at` lies ahead by the database's clock. The holder of a month is the
run named in `month_leases`, for as long as that run is alive and running; every new holder raises the epoch.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from service.delivery import Outcome, Reason
from service.errors import InterruptedRunError, OvertakenError
from service.evaluation import Evaluation, RunWarning
from service.ledger import Ledger
from service.month import Month
from service.run_record import RunError, RunRequest, RunStatus
from service.store.database import Database, DatabaseClock
from service.store.rows import evaluation_row, warnings_text
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


class RunVerbs:
    """What can be done to a run."""

    _database: Database

    async def begin_run(
        self, run_id: str, request: RunRequest, *, started_at: datetime, lease_s: float
    ) -> None:
        """Record that a run has begun; it counts as alive for `lease_s` seconds."""

        def work(connection: sa.Connection) -> None:
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

    async def keep_alive(self, run_id: str, *, lease_s: float, progress: dict[str, Any]) -> None:
        """Say that a run is still at work, and how far it is; raises OvertakenError when it was closed."""
        beat = {"expires_at": DatabaseClock() + lease_s, "progress": orjson.dumps(progress).decode()}
        await self._database.write(lambda connection: _update_running(connection, run_id, beat))

    async def acquire_month(self, run_id: str, month: Month, *, now: datetime) -> MonthLease | str:
        """Take the month for a run, closing a holder that has died; else return the id of the living holder.

        Asked again by the holder it is the same lease. Raises OvertakenError when the run itself was closed
        meanwhile.
        """

        def work(connection: sa.Connection) -> MonthLease | str:
            check_running(connection, run_id)
            # Who asks is alive, however long nothing has been heard of it.
            _rescue(connection, now, spare=run_id)
            lease = connection.execute(
                sa.select(month_leases.c.run_id, month_leases.c.epoch, runs.c.status)
                .outerjoin(runs, runs.c.run_id == month_leases.c.run_id)
                .where(month_leases.c.month == str(month))
            ).one_or_none()
            if lease is not None and lease.run_id == run_id:
                return MonthLease(run_id=run_id, month=month, epoch=lease.epoch)
            if lease is not None and lease.status == RunStatus.RUNNING:
                return str(lease.run_id)
            if lease is None:
                epoch = 1
                connection.execute(month_leases.insert().values(month=str(month), epoch=epoch, run_id=run_id))
            else:
                epoch = lease.epoch + 1
                of_month = month_leases.update().where(month_leases.c.month == str(month))
                connection.execute(of_month.values(epoch=epoch, run_id=run_id))
            _update_running(connection, run_id, {"epoch": epoch})
            return MonthLease(run_id=run_id, month=month, epoch=epoch)

        return await self._database.write(work)

    async def rescue_runs(self, *, now: datetime) -> list[RescuedRun]:
        """Close every run whose process has died, so that none stays `running`."""
        # A look first: the sweep of an idle service must not stand in line with the writers.
        if not await self._database.read(_expired):
            return []
        return await self._database.write(lambda connection: _rescue(connection, now))

    async def note_evaluation(self, run_id: str, evaluation: Evaluation) -> None:
        """Store what the evaluation of a run found, before anything is done about it.

        Raises OvertakenError when the run was closed meanwhile.
        """
        found = evaluation_row(evaluation)
        await self._database.write(lambda connection: _update_running(connection, run_id, found))

    async def finish_run(
        self,
        run_id: str,
        *,
        now: datetime,
        error: RunError | None,
        evaluation: Evaluation | None,
        warnings: tuple[RunWarning, ...],
    ) -> None:
        """Close a run for good: after this nothing it reported changes.

        Raises OvertakenError when another process closed it first, and LedgerImbalanceError (nothing is
        written then) when the run succeeded but does not add up.
        """

        def work(connection: sa.Connection) -> None:
            check_running(connection, run_id)
            _lose_what_is_on_its_way(connection, run_id, now)
            outcomes = _close_outcomes(connection, run_id)
            if error is None and evaluation is not None:
                counted = {outcome: outcomes.get(outcome, 0) for outcome in Outcome}
                Ledger(rows=evaluation.rows, outcomes=counted).check()
            closing = {
                "status": RunStatus.FAILED if error else RunStatus.SUCCEEDED,
                "finished_at": now,
                "error": error and error.code,
                "error_detail": error and error.detail,
                "warnings": warnings_text(warnings),
                "outcome_counts": orjson.dumps(outcomes).decode(),
            }
            _update_running(connection, run_id, closing)

        await self._database.write(work)


def check_running(connection: sa.Connection, run_id: str) -> None:
    """Raise OvertakenError when the run was closed by another process."""
    _check(connection, run_id, runs.c.run_id == run_id)


def check_holds(connection: sa.Connection, lease: MonthLease) -> None:
    """Raise OvertakenError when the lease was lost."""
    _check(connection, lease.run_id, sa.and_(runs.c.run_id == lease.run_id, runs.c.epoch == lease.epoch))


def _check(connection: sa.Connection, run_id: str, condition: sa.ColumnElement[bool]) -> None:
    if connection.scalar(sa.select(runs.c.status).where(condition)) != RunStatus.RUNNING:
        raise _overtaken(run_id)


def _update_running(connection: sa.Connection, run_id: str, values: dict[str, Any]) -> None:
    """Write down something about a run, unless it is closed: then raise OvertakenError."""
    of_run = runs.update().where(runs.c.run_id == run_id, runs.c.status == RunStatus.RUNNING)
    if connection.execute(of_run.values(**values)).rowcount == 0:
        raise _overtaken(run_id)


def _overtaken(run_id: str) -> OvertakenError:
    return OvertakenError(f"run {run_id} was closed by another process")


def _expired(connection: sa.Connection) -> list[str]:
    expired = sa.select(runs.c.run_id).where(
        runs.c.status == RunStatus.RUNNING, runs.c.expires_at < DatabaseClock()
    )
    return list(connection.scalars(expired))


def _rescue(connection: sa.Connection, now: datetime, *, spare: str | None = None) -> list[RescuedRun]:
    rescued = []
    for run_id in _expired(connection):
        if run_id == spare:
            continue
        in_doubt = _lose_what_is_on_its_way(connection, run_id, now)
        closing = {
            "status": RunStatus.FAILED,
            "finished_at": now,
            "error": InterruptedRunError.code,
            "error_detail": "the process that ran it stopped before it had finished",
            "outcome_counts": orjson.dumps(_close_outcomes(connection, run_id)).decode(),
        }
        _update_running(connection, run_id, closing)
        rescued.append(RescuedRun(run_id=run_id, in_doubt=in_doubt))
    return rescued


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
