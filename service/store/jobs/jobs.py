"""Jobs, as people ask for them, look at them and cancel them."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa

from service.domain.default_risk.job import (
    Job,
    JobFinishedError,
    JobNotFoundError,
    JobRequest,
    JobRow,
    JobStatus,
    RowOutcome,
)
from service.domain.default_risk.prediction import ModelRecord
from service.domain.default_risk.risk_level import RiskLevel
from service.domain.run import Page
from service.store.access.rows import row_of
from service.store.audit import database_time, record_audit
from service.store.cursors import cursor_of, read_number
from service.store.default_risk.batch import ensure_model
from service.store.default_risk.seen import CompanyPart
from service.store.jobs.state import AT_THE_START, cancelled, close, is_held, job_of
from service.store.part import cleaned, matching, reads, writes
from service.store.schema.default_risk_tables import predictions
from service.store.schema.job_tables import job_rows, job_uploads, jobs

_SHOWN: Final = ("reporting_year", "reporting_quarter", "probability", "risk_level")
_IS_KNOWN: Final = sa.and_(
    predictions.c.id == job_rows.c.prediction_id, predictions.c.is_newest, predictions.c.deleted_at.is_(None)
)
_ROWS: Final = sa.select(job_rows, *(predictions.c[name] for name in _SHOWN)).select_from(
    job_rows.outerjoin(predictions, _IS_KNOWN)
)
"""What became of rows, with the predictions as they stand now."""


class Jobs(CompanyPart):
    """The jobs of a scope; who is in the scope of a user has none."""

    @writes
    def create(self, request: JobRequest, model: ModelRecord, content: Iterable[bytes]) -> Job:
        """Write a job down with all of its upload, for whichever instance takes it.

        Raises OrganizationNotFoundError and OrganizationNeededError, as for a new company.
        """
        place = self._organization(request.organization_id)
        tenant_id, at = place["tenant_id"], database_time(self.connection)
        row = {
            **asdict(request),
            # In the order of time, also where two are of one moment.
            "id": f"{int(at.timestamp() * 1e6):016x}{secrets.token_hex(8)}",
            "tenant_id": tenant_id,
            "organization_id": place["id"],
            "created_at": at,
            "created_by": cleaned(self._actor.principal.label),
            "model_name": model.name,
            "model_sha256": model.sha256,
            **AT_THE_START,
        }
        ensure_model(self.connection, model, at)
        self.connection.execute(jobs.insert().values(row))
        for number, part in enumerate(content):
            upload = {"job_id": row["id"], "part": number, "tenant_id": tenant_id, "content": part}
            self.connection.execute(job_uploads.insert().values(upload))
        record_audit(self.connection, self._actor, "job.create", row["id"], tenant_id=tenant_id)
        return job_of(self._row(row["id"]))

    @reads
    def get(self, job_id: str) -> Job:
        """Return a job; raises JobNotFoundError."""
        return job_of(self._row(job_id))

    @reads
    def list(self, *, limit: int, cursor: str | None = None, status: JobStatus | None = None) -> Page[Job]:
        """Return jobs, newest first; `cursor` is the id of the last one seen."""
        query = sa.select(jobs).where(self._seen(), *matching({jobs.c.status: status}))
        return self._page_by(jobs.c.id, query, job_of, limit=limit, cursor=cursor, newest_first=True)

    @reads
    def rows(
        self, job_id: str, *, limit: int, cursor: str | None = None, outcome: RowOutcome | None = None
    ) -> Page[JobRow]:
        """Return what became of a job's rows, in their order; raises JobNotFoundError and BadCursorError."""
        self._row(job_id)
        of_job = matching({job_rows.c.job_id: job_id, job_rows.c.outcome: outcome})
        later = job_rows.c.number > read_number(cursor, most=2**62)
        query = _ROWS.where(*of_job, later).order_by(job_rows.c.number)
        return self._page(query, _row, limit, lambda row: cursor_of(row["number"]))

    @writes
    def cancel(self, job_id: str, *, most_alerts: int) -> Job:
        """Let a job end before its next batch; one that no instance has ends at once.

        More than `most_alerts` of its alerts for one channel leave as one digest. To cancel twice is to
        cancel once. Raises JobNotFoundError and JobFinishedError.
        """
        row = self._row(job_id)
        job = job_of(row)
        if job.finished_at is not None:
            raise JobFinishedError(f"the job has ended: it {job.status}")
        now = database_time(self.connection)
        record_audit(self.connection, self._actor, "job.cancel", job_id, tenant_id=job.tenant_id)
        asked = {"cancelled_at": sa.func.coalesce(jobs.c.cancelled_at, now)}
        self.connection.execute(jobs.update().where(jobs.c.id == job_id).values(asked))
        if not is_held(self.connection, job_id):
            error = cancelled(sum(job.rows.values()))
            close(self.connection, job_id, error, now, most_alerts=most_alerts)
        return job_of(self._row(job_id))

    def _seen(self) -> sa.ColumnElement[bool]:
        return self._sees(jobs, organization=jobs.c.organization_id)

    def _row(self, job_id: str) -> dict[str, Any]:
        return row_of(self.connection, jobs, self._seen(), job_id, JobNotFoundError)


def _row(row: Mapping[str, Any]) -> JobRow:
    level = row["risk_level"]
    return JobRow(
        row=row["number"],
        outcome=RowOutcome(row["outcome"]),
        company_symbol=row["company_symbol"],
        problem=row["problem"],
        prediction_id=row["prediction_id"],
        reporting_year=row["reporting_year"],
        reporting_quarter=row["reporting_quarter"],
        probability=row["probability"],
        risk_level=None if level is None else RiskLevel(level),
    )
