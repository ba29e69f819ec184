"""Runs and their leases: who works on a scope, whether it still lives, and how it ended.

A run is alive as long as its `expires_at` lies ahead by the database's clock. The holder of a scope is the
run named in `leases`, for as long as that run is alive and running; every new holder raises the epoch, and so
does whoever resumes a run: what the process before still tries to write is refused.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from service.domain.delivery_status import Outcome
from service.domain.errors import RunFinishedError, RunNotFoundError
from service.domain.evaluation import AnyEvaluation, RunWarning, nothing_delivered, unsent_alerts
from service.domain.lifecycle.summary import SummaryType
from service.domain.run import RunError, RunRequest, RunStatus
from service.store.alerts.summaries import let_summaries_wait
from service.store.audit import record_audit
from service.store.database.database import DatabaseClock
from service.store.part import Part, cleaned, reads, writes
from service.store.rows import evaluation_row, run_ledger, run_warnings, warnings_text
from service.store.runs.idempotency import bind_key
from service.store.runs.state import (
    Lease,
    cancelled,
    check_holds,
    check_running,
    close_dead,
    close_outcomes,
    expired,
    is_cancelled,
    lose_what_is_on_its_way,
    take_lease,
    update_running,
)
from service.store.schema.tables import leases, runs


class Runs(Part):
    """The runs, as the process that works on one writes them down."""

    @writes
    def begin(self, run_id: str, request: RunRequest, *, started_at: datetime, lease_s: float) -> None:
        """Record that a run has begun; it counts as alive for `lease_s` seconds.

        Raises RequestedBeforeError and IdempotencyKeyReusedError, as `bind_key` does; no run has begun then.
        """
        bind_key(self.connection, self._tenant_id, run_id, request)
        self.connection.execute(
            runs.insert().values(
                run_id=run_id,
                tenant_id=self._tenant_id,
                kind=request.kind,
                scope=request.scope,
                lease=request.lease,
                source_uri=request.source_uri,
                period=request.period,
                dry_run=request.dry_run,
                status=RunStatus.RUNNING,
                started_at=started_at,
                expires_at=DatabaseClock() + lease_s,
            )
        )
        record_audit(self.connection, self._actor, "run.begin", run_id, tenant_id=self._tenant_id)

    @writes
    def keep_alive(
        self, run_id: str, *, lease_s: float, progress: dict[str, Any], epoch: int | None = None
    ) -> bool:
        """Say that a run is still at work, and how far it is; returns whether it has been cancelled.

        `epoch` is that of its lease, once it has one. Raises OvertakenError when it was closed or resumed
        elsewhere.
        """
        beat = {"expires_at": DatabaseClock() + lease_s, "progress": orjson.dumps(progress).decode()}
        update_running(self.connection, self._tenant_id, run_id, beat, epoch=epoch)
        return is_cancelled(self.connection, self._tenant_id, run_id)

    @reads
    def is_cancelled(self, run_id: str) -> bool:
        """Return whether somebody cancelled the run."""
        return is_cancelled(self.connection, self._tenant_id, run_id)

    @writes
    def acquire_lease(
        self,
        run_id: str,
        scope: str,
        *,
        now: datetime,
        lease: str | None = None,
        at_work: Collection[str] = (),
    ) -> Lease | str:
        """Take a run's lease, closing a holder that has died; else return the id of the living holder.

        It is that of the scope, unless `lease` names one that covers more. A holder that the asking process
        has `at_work` itself has not died. Asked again by the holder it is the same lease. Raises
        OvertakenError when the run itself was closed meanwhile, and CancelledRunError when it was cancelled.
        """
        tenant_id = self._tenant_id
        name = lease or scope
        of_name = sa.and_(leases.c.tenant_id == tenant_id, leases.c.scope == name)
        holder = (
            sa.select(leases.c.run_id, leases.c.epoch, runs.c.status)
            .outerjoin(runs, runs.c.run_id == leases.c.run_id)
            .where(of_name)
        )
        check_running(self.connection, tenant_id, run_id)
        if is_cancelled(self.connection, tenant_id, run_id):
            raise cancelled(run_id)
        held = self.connection.execute(holder).one_or_none()
        if held is not None and held.run_id == run_id:
            return Lease(run_id=run_id, scope=scope, epoch=held.epoch, name=name)
        if held is not None and held.status == RunStatus.RUNNING:
            if held.run_id not in expired(self.connection, tenant_id, at_work):
                return str(held.run_id)
            close_dead(self.connection, tenant_id, held.run_id, now)
        if held is None:
            new = {"tenant_id": tenant_id, "scope": name, "epoch": 0, "run_id": run_id}
            self.connection.execute(leases.insert().values(new))
        return take_lease(self.connection, tenant_id, run_id, scope, name)

    @writes
    def note_evaluation(
        self, run_id: str, evaluation: AnyEvaluation, *, plan_digest: str | None = None
    ) -> None:
        """Store what the evaluation of a run found, before anything is done about it.

        Raises OvertakenError when the run was closed meanwhile, and LedgerImbalanceError where the rows do
        not add up.
        """
        evaluation.rows.check()
        found = evaluation_row(evaluation) | {"plan_digest": plan_digest}
        update_running(self.connection, self._tenant_id, run_id, found)

    @writes
    def note_support_notified(self, run_id: str, *, now: datetime) -> None:
        """Store that support was notified of what had no channel; raises OvertakenError."""
        done = {"support_notified_at": now}
        update_running(self.connection, self._tenant_id, run_id, done)

    @writes
    def release(self, lease: Lease, *, now: datetime) -> None:
        """Give a recorded run up unfinished, for whoever resumes it or takes its scope, at once.

        What is still on its way is in doubt from here on. Raises OvertakenError when the lease was lost.
        """
        check_holds(self.connection, self._tenant_id, lease)
        lose_what_is_on_its_way(self.connection, self._tenant_id, lease.run_id, now)
        update_running(self.connection, self._tenant_id, lease.run_id, {"expires_at": 0.0})

    @writes
    def cancel(self, run_id: str, *, now: datetime, at_work: Collection[str] = ()) -> None:
        """Let nothing more of a run be claimed; a run whose process has died is closed at once.

        One that the asking process has `at_work` itself has not died, and closes itself.
        Raises RunNotFoundError and RunFinishedError. To cancel twice is to cancel once.
        """
        known = sa.select(runs.c.status).where(
            runs.c.run_id == cleaned(run_id), runs.c.tenant_id == self._tenant_id
        )
        status = self.connection.scalar(known)
        if status is None:
            raise RunNotFoundError(f"no run has the id {run_id[:60]!r}")
        if status != RunStatus.RUNNING:
            raise RunFinishedError(f"run {run_id} has finished: it {status}")
        record_audit(self.connection, self._actor, "run.cancel", run_id, tenant_id=self._tenant_id)
        asked = {"cancelled_at": sa.func.coalesce(runs.c.cancelled_at, now)}
        update_running(self.connection, self._tenant_id, run_id, asked)
        if run_id in expired(self.connection, self._tenant_id, at_work):
            close_dead(self.connection, self._tenant_id, run_id, now)

    @writes
    def finish(
        self,
        run_id: str,
        *,
        now: datetime,
        error: RunError | None,
        warnings: tuple[RunWarning, ...] = (),
        epoch: int | None = None,
        summary: SummaryType | None = None,
    ) -> None:
        """Close a run for good, adding `warnings`: after this nothing it reported changes.

        That it delivered nothing, or that alerts were not sent, are its first warnings. Of a run that
        succeeded a `summary` waits for each channel in which it changed something.
        `epoch` is that of its lease, once it has one. Raises OvertakenError when another process closed or
        resumed it first, and LedgerImbalanceError (nothing is written then) when the run succeeded but does
        not add up.
        """
        check_running(self.connection, self._tenant_id, run_id, epoch)
        found = self.connection.execute(
            sa.select(runs.c.row_ledger, runs.c.warnings, runs.c.dry_run).where(runs.c.run_id == run_id)
        ).one()
        lose_what_is_on_its_way(self.connection, self._tenant_id, run_id, now)
        outcomes = close_outcomes(self.connection, run_id)
        ledger = run_ledger(found.row_ledger, outcomes)
        unsent = unsent_alerts(outcomes.get(Outcome.UNSENT, 0), ledger.rows["alerts"] if ledger else 0)
        nothing = () if error or found.dry_run else nothing_delivered(outcomes)
        if error is None and ledger is not None:
            ledger.check()
        closing = {
            "status": RunStatus.FAILED if error else RunStatus.SUCCEEDED,
            "finished_at": now,
            "error": error and error.code,
            "error_detail": error and error.detail,
            "warnings": warnings_text((*nothing, *unsent, *run_warnings(found.warnings), *warnings)),
            "outcome_counts": orjson.dumps(outcomes).decode(),
        }
        update_running(self.connection, self._tenant_id, run_id, closing)
        if summary is not None and error is None and not found.dry_run:
            let_summaries_wait(self.connection, self._tenant_id, run_id, summary, now=now)
