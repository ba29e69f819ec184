"""Job events: what happens to a bulk job."""

import logging
from dataclasses import dataclass
from typing import Any

from service.domain.default_risk.job import Job, JobStatus
from service.telemetry.events import Event, Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTaken(Event):
    """This instance works on a job from here on; `taken_over`: another one had it before."""

    name = "job_taken"
    job_id: str
    next_row: int
    taken_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReleased(Event):
    """A job was left unfinished because the process was asked to stop."""

    name = "job_released"
    level = logging.WARNING
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFinished(Event):
    """Everything about a job in one line."""

    name = "job_finished"
    job: Job

    @property
    def severity(self) -> int:
        """A warning where the job failed: its file is at fault, most often."""
        return logging.WARNING if self.job.status is JobStatus.FAILED else logging.INFO

    def values(self) -> dict[str, Any]:
        """Return the job's facts and its ledger."""
        job = self.job
        seconds = job.finished_at and job.started_at and (job.finished_at - job.started_at).total_seconds()
        return {
            "job_id": job.id,
            "kind": job.kind,
            "status": job.status,
            "source_uri": job.source_uri,
            "model_sha256": job.model_sha256,
            "duration_s": seconds and round(seconds, 3),
            "error": job.error and {"code": job.error.code, "detail": job.error.detail},
            "rows": {str(outcome): count for outcome, count in job.rows.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(Failure):
    """A job fails for a reason that nobody foresaw."""

    name = "job_failed"
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNotClosed(Failure):
    """How a job ended could not be written down: another instance takes it when its lease has run out."""

    name = "job_not_closed"
    job_id: str
