"""The work on jobs: an instance takes one, stores what it found batch by batch, and closes it.

A job is its instance's as long as `expires_at` lies ahead by the database's clock. Whoever takes it raises
the epoch: what an instance that was overtaken still tries to write is refused. Predictions, the outcomes of
rows and the place to go on at are one transaction, so that each row is stored once, whoever dies when.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.default_risk.job import (
    REFUSED_KEPT,
    ClaimedJob,
    Job,
    JobBatch,
    JobStatus,
    RowOutcome,
)
from service.domain.default_risk.prediction import ModelRecord
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.errors import InterruptedRunError, RiskAlertsError
from service.store.audit import database_time
from service.store.database.database import DatabaseClock
from service.store.default_risk.batch import record_predictions
from service.store.jobs.state import cancelled, close, is_cancelled, job_of, row_by_id, update_held
from service.store.part import Part, cleaned, cleaned_all, reads, writes
from service.store.schema.default_risk_tables import risk_models
from service.store.schema.job_tables import job_rows, job_uploads, jobs
from service.store.sql import Columns, insert_columns, rows_at

MOST_TAKES: Final = 5
"""So often a job is taken without a batch being stored: then its file ends the processes that read it."""
_GIVEN_UP: Final = f"{MOST_TAKES} processes stopped while they were at the same rows of the file"
_PREDICTED_BEFORE: Final = "company and period have a prediction by the model: an earlier row, or request"
_REFUSED: Final = (RowOutcome.DUPLICATE, RowOutcome.INVALID)
_SHOWN: Final = 100
_TOO_OLD: Final = "no instance brought it to its end within RESUME_WITHIN_H"


class JobWork(Part):
    """What the instance does that works on jobs, whichever tenant they are of."""

    async def take(
        self,
        tenant_id: str,
        *,
        since: datetime,
        lease_s: float,
        most_alerts: int,
        at_work: Collection[str] = (),
    ) -> ClaimedJob | None:
        """Take the job that has waited longest; None where none waits.

        Files behind URIs are read by instances of their own tenant, `tenant_id`: those know its sources. A
        job whose instance died is taken up where it was, unless it began before `since`, or has ended
        `MOST_TAKES` processes: such a one is closed as by `finish`. Those that the asking process has
        `at_work` itself have not died.
        """
        is_free = sa.and_(
            jobs.c.status.in_([JobStatus.WAITING, JobStatus.RUNNING]),
            jobs.c.expires_at < DatabaseClock(),
            jobs.c.source_uri.is_(None) | (jobs.c.tenant_id == tenant_id),
            jobs.c.id.not_in(list(at_work)),
        )
        oldest = sa.select(jobs).where(is_free).order_by(jobs.c.created_at, jobs.c.id).limit(1)

        def work(connection: sa.Connection) -> ClaimedJob | None:
            now = database_time(connection)
            while (found := connection.execute(oldest).mappings().one_or_none()) is not None:
                row = dict(found)
                if (error := _why_not(row, since)) is None:
                    return _taken(connection, row, now, lease_s)
                close(connection, row["id"], error, now, most_alerts=most_alerts)
            return None

        # A look first: an idle instance must not stand in line with the writers.
        is_any = await self.database.read(lambda connection: connection.execute(oldest).first() is not None)
        return await self.database.write(work) if is_any else None

    @writes
    def keep_alive(self, job_id: str, *, lease_s: float, progress: dict[str, Any], epoch: int | None) -> bool:
        """Say that a job is still worked on, and how far it is; returns whether it has been cancelled.

        Raises OvertakenError when it was closed or taken over.
        """
        beat = {"expires_at": DatabaseClock() + lease_s, "progress": orjson.dumps(progress).decode()}
        update_held(self.connection, job_id, epoch or 0, beat)
        return is_cancelled(self.connection, job_id)

    @reads
    def model(self, claimed: ClaimedJob) -> ModelRecord:
        """Return the model that all of a job is scored with."""
        found = sa.select(risk_models).where(risk_models.c.sha256 == claimed.job.model_sha256)
        row = self.connection.execute(found).mappings().one()
        names = [each.name for each in fields(ModelRecord)]
        return ModelRecord(**{name: row[name] for name in names} | {"kind": PredictionKind(row["kind"])})

    @reads
    def part(self, job_id: str, number: int) -> bytes | None:
        """Return a part of a job's upload; None after the last one."""
        of_part = sa.and_(job_uploads.c.job_id == job_id, job_uploads.c.part == number)
        found = self.connection.scalar(sa.select(job_uploads.c.content).where(of_part))
        return None if found is None else bytes(found)

    @writes
    def note_file(self, claimed: ClaimedJob, *, rows_total: int | None, version: str) -> None:
        """Write down which file it is, and about how many rows it has; raises OvertakenError."""
        found = {"rows_total": rows_total, "source_version": version}
        update_held(self.connection, claimed.job.id, claimed.epoch, found)

    @writes
    def record(self, claimed: ClaimedJob, batch: JobBatch, model: ModelRecord, *, lease_s: float) -> None:
        """Store a batch, whole: predictions, what became of each row, and where to go on.

        Raises OvertakenError, and CancelledRunError where somebody cancelled the job; nothing is stored then.
        """
        job = claimed.job
        of_job = jobs.c.id == job.id
        update_held(self.connection, job.id, claimed.epoch, {"expires_at": DatabaseClock() + lease_s})
        before = row_by_id(self.connection, job.id)
        if before["cancelled_at"] is not None:
            raise cancelled(sum(before[outcome] for outcome in RowOutcome))
        rows = self._stored(before, batch, model)
        counts = Counter(rows["outcome"])
        new = {outcome: before[outcome] + counts[outcome] for outcome in RowOutcome}
        self._keep(job, rows, room=REFUSED_KEPT - sum(before[outcome] for outcome in _REFUSED))
        self.connection.execute(jobs.update().where(of_job).values(**new, next_row=batch.next_row, takes=0))

    def _stored(self, job: Mapping[str, Any], batch: JobBatch, model: ModelRecord) -> Columns:
        """Store the predictions of a batch, and return what became of each row."""
        written = record_predictions(
            self.connection,
            batch.predictions,
            model=model,
            organization={"id": job["organization_id"], "tenant_id": job["tenant_id"]},
            by=job["created_by"],
            at=database_time(self.connection),
            job_id=job["id"],
        )
        outcomes = [RowOutcome.SCORED.value] * len(written)
        problems: list[str | None] = [None] * len(written)
        for place, why in batch.abstained.items():
            outcomes[place], problems[place] = RowOutcome.ABSTAINED.value, why
        for place, prediction_id in enumerate(written):
            if prediction_id is None:
                outcomes[place], problems[place] = RowOutcome.DUPLICATE.value, _PREDICTED_BEFORE
        refused = batch.refused
        shown = (row.company_symbol and cleaned(row.company_symbol)[:_SHOWN] for row in refused)
        return {
            "number": [*batch.numbers, *(row.row for row in refused)],
            "outcome": [*outcomes, *(row.outcome.value for row in refused)],
            "company_symbol": [*cleaned_all(batch.predictions.company_symbol), *shown],
            "prediction_id": [*written, *(None for _ in refused)],
            "problem": [*problems, *(row.problem and cleaned(row.problem) for row in refused)],
        }

    def _keep(self, job: Job, rows: Columns, *, room: int) -> None:
        """Keep what became of rows; of those refused as many as there is room for."""
        refused = [place for place, outcome in enumerate(rows["outcome"]) if outcome in _REFUSED]
        over = {*refused[max(0, room) :]}
        kept = rows_at(rows, [place for place in range(len(rows["outcome"])) if place not in over])
        if kept["number"]:
            insert_columns(self.connection, job_rows, kept, {"job_id": job.id, "tenant_id": job.tenant_id})

    @writes
    def release(self, claimed: ClaimedJob) -> None:
        """Give a job up unfinished, for whoever takes it next, at once; raises OvertakenError."""
        free = {"status": JobStatus.WAITING, "expires_at": 0.0, "takes": 0}
        update_held(self.connection, claimed.job.id, claimed.epoch, free)

    @writes
    def finish(self, claimed: ClaimedJob, error: RiskAlertsError | None, *, most_alerts: int) -> Job:
        """Close a job, and return it as it ended; raises OvertakenError.

        More than `most_alerts` of its alerts for one channel leave as one digest.
        """
        job_id = claimed.job.id
        update_held(self.connection, job_id, claimed.epoch, {"expires_at": 0.0})
        close(self.connection, job_id, error, database_time(self.connection), most_alerts=most_alerts)
        return job_of(row_by_id(self.connection, job_id))


def _why_not(row: Mapping[str, Any], since: datetime) -> RiskAlertsError | None:
    """Return why a job is closed instead of being taken."""
    if row["cancelled_at"] is not None:
        return cancelled(sum(row[outcome] for outcome in RowOutcome))
    if row["started_at"] is not None and row["started_at"] < since:
        return InterruptedRunError(_TOO_OLD)
    return InterruptedRunError(_GIVEN_UP) if row["takes"] >= MOST_TAKES else None


def _taken(connection: sa.Connection, row: Mapping[str, Any], now: datetime, lease_s: float) -> ClaimedJob:
    taken = {
        "status": JobStatus.RUNNING,
        "epoch": row["epoch"] + 1,
        "takes": row["takes"] + 1,
        "started_at": row["started_at"] or now,
        "expires_at": DatabaseClock() + lease_s,
    }
    connection.execute(jobs.update().where(jobs.c.id == row["id"]).values(taken))
    current = row_by_id(connection, row["id"])
    return ClaimedJob(
        job=job_of(current),
        epoch=current["epoch"],
        next_row=current["next_row"],
        source_version=current["source_version"],
    )
