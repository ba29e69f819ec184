"""The state of a job, as its verbs share it: who has it, and how it is closed.

Functions over a connection, each inside the transaction of the verb that calls it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.default_risk.job import Job, JobStatus, RowOutcome
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.errors import CancelledRunError, OvertakenError, RiskAlertsError
from service.domain.run import RunError
from service.store.database.database import DatabaseClock
from service.store.default_risk.high_risk_digest import release_alerts
from service.store.schema.job_tables import job_uploads, jobs

AT_THE_START: Final = {
    "status": JobStatus.WAITING,
    "next_row": 0,
    **dict.fromkeys((str(outcome) for outcome in RowOutcome), 0),
    "expires_at": 0.0,
    "epoch": 0,
    "takes": 0,
}
"""The columns of a job that nobody has had yet."""

IS_HELD = sa.and_(jobs.c.status == JobStatus.RUNNING, jobs.c.expires_at >= DatabaseClock())
"""An instance has the job, and is heard of."""


def is_held(connection: sa.Connection, job_id: str) -> bool:
    """Return whether an instance works on a job."""
    return connection.scalar(sa.select(jobs.c.id).where(jobs.c.id == job_id, IS_HELD)) is not None


def update_held(connection: sa.Connection, job_id: str, epoch: int, values: Mapping[str, Any]) -> None:
    """Write something about a job that is worked on under an epoch; raises OvertakenError where it is not."""
    held = sa.and_(jobs.c.id == job_id, jobs.c.epoch == epoch, jobs.c.status == JobStatus.RUNNING)
    if connection.execute(jobs.update().where(held).values(**values)).rowcount == 0:
        raise OvertakenError(f"job {job_id} was closed or taken over by another process")


def row_by_id(connection: sa.Connection, job_id: str) -> dict[str, Any]:
    """Return the row of a job that is there."""
    return dict(connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).mappings().one())


def is_cancelled(connection: sa.Connection, job_id: str) -> bool:
    """Return whether somebody cancelled a job."""
    return connection.scalar(sa.select(jobs.c.cancelled_at).where(jobs.c.id == job_id)) is not None


def cancelled(rows: int) -> CancelledRunError:
    """Return the error that ends a cancelled job; `rows` are done."""
    return CancelledRunError(f"the job was cancelled after {rows:,} rows, which stay")


def close(
    connection: sa.Connection, job_id: str, error: RiskAlertsError | None, now: datetime, *, most_alerts: int
) -> None:
    """Close a job for good: its alerts leave, and its upload, which nobody needs any more, is deleted.

    More than `most_alerts` for one channel leave as one digest.
    """
    closing = {
        "status": JobStatus.FAILED if error is not None else JobStatus.SUCCEEDED,
        "finished_at": now,
        "error": error and error.code,
        "error_detail": error and error.detail,
        "progress": None,
        "expires_at": 0.0,
    }
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(closing))
    connection.execute(job_uploads.delete().where(job_uploads.c.job_id == job_id))
    release_alerts(connection, row_by_id(connection, job_id), most=most_alerts, now=now)


def job_of(row: Mapping[str, Any]) -> Job:
    """Return a job as it is written down."""
    error = None if row["error"] is None else RunError(code=row["error"], detail=row["error_detail"])
    return Job(
        **{name: row[name] for name in _AS_THEY_ARE},
        kind=PredictionKind(row["kind"]),
        status=JobStatus(row["status"]),
        error=error,
        rows={outcome: row[outcome] for outcome in RowOutcome},
        progress=None if row["progress"] is None else orjson.loads(row["progress"]),
    )


_AS_THEY_ARE: Final = (
    *("id", "tenant_id", "organization_id", "file_name", "source_uri", "sheet", "units"),
    *("model_name", "model_sha256", "prior", "thresholds"),
    *("created_at", "created_by", "started_at", "finished_at", "rows_total"),
)
