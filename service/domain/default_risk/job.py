"""The job: a file of companies that is scored in the background, and what is known of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from service.domain.default_risk.prediction import NewPredictions
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from service.domain.errors import RefusedError
from service.domain.run import RunError

REFUSED_KEPT: Final = 100_000
"""How many of a job's refused rows are kept with their reason; all of them are counted."""


class JobNotFoundError(RefusedError, code="job_not_found", http_status=404):
    """No job has this id."""

    example = "no job has this id"


class JobFinishedError(RefusedError, code="job_finished", http_status=409):
    """The job has ended, so that there is nothing to cancel."""

    example = "the job has ended: it succeeded"


class JobStatus(StrEnum):
    """Who leaves a state: any instance that claims the job, then the one that has it."""

    WAITING = "waiting"
    """No instance has it: it is new, or the instance that had it was stopped."""
    RUNNING = "running"
    """An instance has it; one that dies is replaced when its lease has run out."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Its `error` says why; `cancelled` is one of the reasons."""


class RowOutcome(StrEnum):
    """What became of a row."""

    SCORED = "scored"
    ABSTAINED = "abstained"
    DUPLICATE = "duplicate"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a caller asks for."""

    kind: PredictionKind
    organization_id: str | None
    """None: the caller's, or the tenant's only one."""
    file_name: str
    """For people, and how its format is said; the last part of the URI where there is one."""
    source_uri: str | None
    """None: the file was uploaded, and lies in the database."""
    sheet: str | None
    units: str | None
    prior: float
    """The share of defaults that the model is moved to."""
    thresholds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(JobRequest):
    """All that is known of a job."""

    id: str
    tenant_id: str
    organization_id: str
    model_name: str
    model_sha256: str
    """All of the job is scored by this model, whoever goes on with it."""
    status: JobStatus
    created_at: datetime
    created_by: str
    started_at: datetime | None
    """When an instance had it first."""
    finished_at: datetime | None
    error: RunError | None
    rows: Mapping[RowOutcome, int]
    """What became of those rows that are done: every one is in one of the counts."""
    rows_total: int | None
    """About how many there are; None until the file was looked at."""
    progress: Mapping[str, Any] | None
    """The last heartbeat's; None once it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedJob:
    """A job and the right to work on it."""

    job: Job
    epoch: int
    """Counts those who had it: what one that was overtaken still writes is refused."""
    next_row: int
    """The number of the first record that is not done."""
    source_version: str | None
    """Of the file, as whoever began with it found it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """What became of one row of a job's file."""

    row: int
    """As a spreadsheet counts: the header is 1."""
    outcome: RowOutcome
    company_symbol: str | None
    problem: str | None
    """Why it was refused; None for one that was scored."""
    prediction_id: str | None
    reporting_year: int | None = None
    """This and what follows: of the prediction as it stands now, where there is one still."""
    reporting_quarter: int | None = None
    probability: float | None = None
    risk_level: RiskLevel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBatch:
    """Some rows of a job's file, as they are stored together."""

    numbers: Sequence[int]
    """Of the row that each of the predictions is about."""
    predictions: NewPredictions
    abstained: Mapping[int, str]
    """By place in the predictions, where the model abstained: why."""
    refused: Sequence[JobRow]
    next_row: int
    """The number of the first record that is in no batch so far."""
