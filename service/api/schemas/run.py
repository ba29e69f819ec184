"""The run: what is asked for, and all that is known of it."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    Tag,
)

from service.api.examples import with_example
from service.api.schemas.alert import RunAlertOut, WithdrawnOut
from service.api.schemas.answer import NextCursor, Out
from service.api.schemas.evaluation import (
    CountsOut,
    InvalidSampleOut,
    LedgerOut,
    LogLedgerOut,
    OutboxLedgerOut,
    WarningOut,
)
from service.api.schemas.period import FromOut, MonthOut, StreamOut, UntilOut
from service.domain.progress import Phase
from service.domain.run import RunStatus

KINDS: Final = ("account_risk", "log_rules")
"""What may be asked for; the first one where nothing is said."""


class _AnyRunIn(BaseModel):
    """What is asked of a run of any kind."""

    source_uri: str = Field(
        max_length=4096,
        description="`file:///absolute/path`, `gs://bucket/…` or `s3://bucket/…`: a file, folder or glob.",
    )
    dry_run: StrictBool = Field(
        default=False, description="Record the run, but send and claim nothing. A preview never sends."
    )
    plan_digest: str | None = Field(
        default=None,
        description="From `/preview`: the run executes exactly that plan, or fails with `plan_changed` and "
        "sends nothing. A preview ignores it.",
        pattern="^[0-9a-f]{64}$",
    )


class RunIn(_AnyRunIn):
    """What to run or to preview; fields that are not listed here are refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=with_example("run_in"))

    kind: Literal["account_risk"] = "account_risk"
    month: str = Field(
        description="Exactly `YYYY-MM-01`; for schedulers with a fixed body, `current` or `previous` (UTC).",
        json_schema_extra={"pattern": r"^(\d{4}-(0[1-9]|1[0-2])-01|current|previous)$"},
    )


def _as_text(value: object) -> object:
    # Digits alone, such as `20260131`, the library would take for seconds since 1970.
    if not isinstance(value, datetime) and not (isinstance(value, str) and value[4:5] == "-"):
        raise ValueError("must be ISO 8601, such as 2026-01-31T00:00:00Z")  # what pydantic reports
    return value


_Instant = Annotated[datetime, BeforeValidator(_as_text)]


class LogRunIn(_AnyRunIn):
    """A period of a log to run or to preview; fields that are not listed here are refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=with_example("log_run_in"))

    kind: Literal["log_rules"]
    rules: str = Field(description="Name of a file in `RULES_FOLDER`, without `.toml`.", max_length=64)
    from_: _Instant = Field(alias="from", description="First instant: a whole second; without a zone UTC.")
    until: _Instant = Field(description="First instant after the period.")
    stream: str | None = Field(
        default=None,
        description="What one run at a time works on: a run begins with what the one before it in the stream "
        "left. Unset: as `rules`.",
        max_length=64,
    )


def _kind(body: object) -> str:
    """Return the kind that a body names, the first where it names none; empty where that is no text."""
    said = body.get("kind", KINDS[0]) if isinstance(body, dict) else getattr(body, "kind", KINDS[0])
    return said if isinstance(said, str) else ""


AnyRunIn: TypeAlias = Annotated[
    Annotated[RunIn, Tag("account_risk")] | Annotated[LogRunIn, Tag("log_rules")],
    Discriminator(
        _kind, custom_error_type="kind", custom_error_message="kind must be account_risk or log_rules"
    ),
]


class RunStartedOut(Out):
    """The run has finished; `GET /runs/{run_id}` shows what it did."""

    run_id: str


class RunErrorOut(Out):
    """Why a run failed."""

    code: str
    detail: str


class ProgressOut(Out):
    """How far a running run has come."""

    model_config = ConfigDict(frozen=True, json_schema_extra=with_example("progress"))

    phase: Phase
    row_groups_done: int = 0
    row_groups_total: int = 0
    rows_done: int = 0
    rows_total: int = 0
    alerts_queued: int = Field(default=0, description="Alerts that this run has to deliver.")
    alerts_settled: int = 0
    sent_by_channel: dict[str, int] = Field(default_factory=dict)
    seconds_left: float | None = Field(
        default=None,
        description="Of this phase, at the speed seen so far and with what is left of the lanes' pauses; "
        "null while there is nothing to go by.",
    )


class RunOut(Out):
    """All that is known of a run."""

    run_id: str
    source_uri: str
    kind: str = Field(default=KINDS[0], description="`account_risk`, `log_rules` or `outbox`.")
    month: MonthOut
    stream: StreamOut = None
    from_: FromOut = None
    until: UntilOut = None
    dry_run: bool
    status: RunStatus = Field(
        description="`succeeded` even when some sends failed; see the counts. `released`: its process "
        "stopped or died, and the next service to look resumes it."
    )
    started_at: datetime
    finished_at: datetime | None
    error: RunErrorOut | None = Field(description="Why a failed run failed.")
    counts: CountsOut
    ledger: LedgerOut | LogLedgerOut | OutboxLedgerOut | None = Field(
        description="null until the source has been evaluated."
    )
    warnings: list[WarningOut]
    invalid_samples: list[InvalidSampleOut]
    sample_alerts: list[RunAlertOut] = Field(description="At most 10; all are at `/runs/{run_id}/alerts`.")
    sample_errors: list[RunAlertOut] = Field(description="At most 10.")
    sample_withdrawn: list[WithdrawnOut] = Field(
        description="At most 10; all are at `/runs/{run_id}/withdrawn`."
    )
    sample_restated: list[RunAlertOut] = Field(
        description="At most 10; all are at `/runs/{run_id}/alerts?restated=true`."
    )
    plan: dict[str, Any] | None = Field(description="What the scan read and skipped, and why.")
    plan_digest: str | None = Field(
        description="Of what this run found to do; null until the source has been evaluated."
    )
    progress: ProgressOut | None = Field(description="Only while the run is running.")


class RunsOut(Out):
    """Runs, newest first."""

    runs: list[RunOut] = Field(validation_alias=AliasChoices("items", "runs"))
    next_cursor: NextCursor
