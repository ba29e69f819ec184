"""What /api/v1 takes and answers about bulk jobs."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BeforeValidator, Field

from service.api.schemas.answer import NextCursor, Out
from service.api.v1.schemas import Id, In, PageQuery
from service.default_risk.units import Units
from service.domain.default_risk.job import REFUSED_KEPT, Job, JobStatus, RowOutcome
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel


class BulkIn(In):
    """What a form says beside its file."""

    source_uri: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    units: Units | None = None
    sheet: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    organization_id: Id | None = None


_URI: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 4096,
    "description": "One file on `file://`, `gs://` or `s3://`; of a form, instead of `file`.",
}
_OTHERS: dict[str, dict[str, Any]] = {
    "units": {
        "type": "string",
        "enum": [str(unit) for unit in Units],
        "description": "What its percentages are, where that is in doubt.",
    },
    "sheet": {
        "type": "string",
        "minLength": 1,
        "maxLength": 100,
        "description": "Of XLSX; unset: the first.",
    },
    "organization_id": {
        "type": "string",
        "maxLength": 36,
        "description": "Unset: the caller's, or the tenant's only one.",
    },
}
_FILE: dict[str, Any] = {
    "type": "string",
    "format": "binary",
    "description": "CSV, XLSX or Parquet, of at most `UPLOAD_LIMIT_MB`.",
}


_CLOSED: dict[str, Any] = {"type": "object", "additionalProperties": False}
_NULLABLE = {name: {"anyOf": [said, {"type": "null"}]} for name, said in _OTHERS.items()}
BULK_BODY: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {**_CLOSED, "properties": {"file": _FILE, "source_uri": _URI, **_OTHERS}}
    },
    "application/json": {
        "schema": {**_CLOSED, "properties": {"source_uri": _URI, **_NULLABLE}, "required": ["source_uri"]},
        "example": {"source_uri": "s3://exports/companies.parquet"},
    },
}
"""The body, as OpenAPI describes it: a route that takes a form or JSON reads it itself."""


class JobModelOut(Out):
    """The model that all of a job is scored with."""

    name: str
    sha256: str


class JobErrorOut(Out):
    """Why a job failed."""

    code: str
    detail: str


class JobRowsOut(Out):
    """What became of the rows that are done: each is in one of the counts."""

    total: int | None = Field(
        description="About how many the file has; the sum of the counts once the job succeeded."
    )
    done: int
    scored: int
    abstained: int
    duplicate: int
    invalid: int


class JobProgressOut(Out):
    """How far a job has come."""

    rows_done: int
    rows_total: int | None = Field(description="About; null until the file was looked at.")
    seconds_left: float | None = Field(description="An estimate, once there is something to go by.")


class JobOut(Out):
    """A bulk job."""

    id: str
    kind: PredictionKind
    organization_id: str
    file_name: str
    source_uri: str | None
    sheet: str | None
    units: str | None
    model: JobModelOut
    status: JobStatus
    created_at: datetime
    created_by: str
    started_at: datetime | None
    finished_at: datetime | None
    error: JobErrorOut | None
    rows: JobRowsOut
    progress: JobProgressOut | None = Field(description="Null once the job has ended.")
    refused_kept: int = Field(
        default=REFUSED_KEPT,
        description="Of so many duplicate and invalid rows each is listed with its reason; all are counted.",
    )

    @classmethod
    def made(cls, job: Job, progress: JobProgressOut | None) -> Self:
        """Return a job as the API says it."""
        error = job.error
        done = sum(job.rows.values())
        total = done if job.status is JobStatus.SUCCEEDED else job.rows_total
        return cls(
            **{name: getattr(job, name) for name in _AS_THEY_ARE},
            model=JobModelOut(name=job.model_name, sha256=job.model_sha256),
            error=None if error is None else JobErrorOut(code=error.code, detail=error.detail),
            rows=JobRowsOut(total=total, done=done, **{str(name): count for name, count in job.rows.items()}),
            progress=progress,
        )


_AS_THEY_ARE = (
    *("id", "kind", "organization_id", "file_name", "source_uri", "sheet", "units", "status"),
    *("created_at", "created_by", "started_at", "finished_at"),
)


class JobsOut(Out):
    """A page of jobs."""

    jobs: list[JobOut]
    next_cursor: NextCursor


class JobsQuery(PageQuery):
    """Which jobs to list."""

    status: JobStatus | None = None


def _quarter(quarter: object) -> object:
    """Return a quarter as the API says it; 0 is that of an annual statement."""
    return (f"Q{quarter}" if quarter else None) if isinstance(quarter, int) else quarter


class JobRowOut(Out):
    """What became of one row."""

    row: int = Field(description="As a spreadsheet counts: the header is 1.")
    outcome: RowOutcome
    company_symbol: str | None
    problem: str | None = Field(description="Why it was refused, or abstained on.")
    prediction_id: str | None
    reporting_year: int | None
    reporting_quarter: Annotated[str | None, BeforeValidator(_quarter)]
    probability: float | None = Field(description="Of the prediction as it stands now, if it does.")
    risk_level: RiskLevel | None


class JobRowsPageOut(Out):
    """A page of rows."""

    rows: list[JobRowOut] = Field(validation_alias=AliasChoices("items", "rows"))
    next_cursor: NextCursor


class ResultsQuery(PageQuery):
    """Which rows to list."""

    limit: int = Field(default=100, ge=1, le=1000)
    outcome: RowOutcome | None = None
