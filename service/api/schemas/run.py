"""The answers of the API, and of the command line's `--json`: the one place where their form is declared.

Dates are ISO 8601, months their first day, timestamps RFC 3339 in UTC, amounts whole units of
the source's currency.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from service.api import examples
from service.api.schemas.alert import Out, PreviewAlertOut, RunAlertOut, WithdrawnOut
from service.domain.delivery_status import Outcome
from service.domain.evaluation import InvalidSample, RunWarning
from service.domain.ledger import InvalidRow, Ledger
from service.domain.progress import Phase, Progress
from service.domain.run import (
    Page,
    Preview,
    RunAlert,
    RunCounts,
    RunRecord,
    RunStatus,
)


class RunIn(BaseModel):
    """What to run or to preview; fields that are not listed here are refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [examples.RUN_IN]})

    source_uri: str = Field(
        max_length=4096,
        description="`file:///absolute/path`, `gs://bucket/…` or `s3://bucket/…`: a file, folder or glob.",
    )
    month: str = Field(
        description="Exactly `YYYY-MM-01`; for schedulers with a fixed body, `current` or `previous` (UTC).",
        json_schema_extra={"pattern": r"^(\d{4}-(0[1-9]|1[0-2])-01|current|previous)$"},
    )
    dry_run: StrictBool = Field(
        default=False, description="Record the run, but send and claim nothing. A preview never sends."
    )
    plan_digest: str | None = Field(
        default=None,
        description="From `/preview`: the run does just that plan, or fails with `plan_changed` and sends "
        "nothing. A preview ignores it.",
        pattern="^[0-9a-f]{64}$",
    )


class RunStartedOut(Out):
    """The run has finished; its story is at `GET /runs/{run_id}`."""

    run_id: str


class ErrorOut(Out):
    """Every error, of every route."""

    error: str = Field(description="Stable code to branch on.")
    detail: str = Field(description="One sentence for a person.")
    run_id: str | None = Field(description="The failed run that was recorded, where there is one.")


class HealthOut(Out):
    """The service can do its job."""

    status: Literal["healthy"] = "healthy"
    ok: Literal[True] = True
    database: Literal["ok", "busy"] = Field(
        description="`busy`: somebody else holds the write lock just now."
    )


class UnhealthyOut(ErrorOut):
    """The service cannot do its job: its database is unreadable, read-only or full."""

    error: Literal["unhealthy"] = "unhealthy"
    status: Literal["unhealthy"] = "unhealthy"
    ok: Literal[False] = False
    database: Literal["unusable"] = "unusable"


class RunErrorOut(Out):
    """Why a run failed."""

    code: str
    detail: str


class CountsOut(Out):
    """The numbers that a person asks for at nine in the morning."""

    rows_scanned: int
    duplicates: int
    alerts: int
    alerts_sent: int
    would_send: int = Field(description="Only in dry runs and previews.")
    skipped_replay: int = Field(description="Sent by an earlier run.")
    failed_deliveries: int = Field(description="Includes `unknown_region`.")
    unknown_region: int = Field(description="No channel for the account's region; retried by later runs.")
    unknown: int = Field(description="Slack may or may not have them; held for a person.")
    unsent: int = Field(description="Still pending when the run ended; they go out with the next run.")
    withdrawn: int = Field(
        description="Alerts of earlier runs over the same source that are alerts no more; not among `alerts`."
    )
    restated: int = Field(description="Of `skipped_replay`: sent with another ARR or duration.")

    @classmethod
    def of(cls, counts: RunCounts) -> Self:
        """Return the counts as the API says them."""
        return cls.model_validate(counts, from_attributes=True)


class LedgerOut(Out):
    """What became of every row and of every alert.

    `rows_in_source = outside_window + rows_scanned`;
    `rows_scanned = sum(invalid) + duplicates + account_months`;
    `at_risk = below_threshold + unknown_arr + alerts`; `alerts = sum(outcomes)`.
    """

    rows_in_source: int
    outside_window: int
    rows_scanned: int
    invalid: dict[InvalidRow, int]
    duplicates: int
    account_months: int
    at_risk: int
    below_threshold: int
    unknown_arr: int
    alerts: int
    outcomes: dict[Outcome, int]

    @classmethod
    def of(cls, ledger: Ledger) -> Self:
        """Return the ledger as the API says it: rows and outcomes side by side."""
        rows = ledger.rows
        return cls(
            rows_in_source=rows.rows_in_source,
            outside_window=rows.outside_window,
            rows_scanned=rows.rows_scanned,
            invalid=rows.invalid,
            duplicates=rows.duplicates,
            account_months=rows.account_months,
            at_risk=rows.at_risk,
            below_threshold=rows.below_threshold,
            unknown_arr=rows.unknown_arr,
            alerts=rows.alerts,
            outcomes=ledger.outcomes,
        )


class WarningOut(Out):
    """Something a person should look at although the run went on."""

    code: str
    count: int
    detail: str

    @classmethod
    def of(cls, warning: RunWarning) -> Self:
        """Return the warning as the API says it."""
        return cls.model_validate(warning, from_attributes=True)


class InvalidSampleOut(Out):
    """One row that could not be used."""

    reason: InvalidRow
    file: str
    account_id: str | None
    month: str | None = Field(description="As it stands in the source.")

    @classmethod
    def of(cls, sample: InvalidSample) -> Self:
        """Return the sample as the API says it."""
        return cls.model_validate(sample, from_attributes=True)


class ProgressOut(Out):
    """How far a running run has come."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.PROGRESS]})

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
        description="Of this phase, at the speed seen so far; null while there is nothing to go by.",
    )

    @classmethod
    def of(cls, progress: Progress | Mapping[str, Any], *, seconds_left: float | None = None) -> Self:
        """Return the progress as the API says it; a mapping is the heartbeat of another process."""
        seen = cls.model_validate(progress, from_attributes=True)
        return seen.model_copy(update={"seconds_left": seconds_left})


class RunOut(Out):
    """All that is known of a run."""

    run_id: str
    source_uri: str
    month: date
    dry_run: bool
    status: RunStatus = Field(description="`succeeded` even when some sends failed; see the counts.")
    started_at: datetime
    finished_at: datetime | None
    error: RunErrorOut | None = Field(description="Why a failed run failed.")
    counts: CountsOut
    ledger: LedgerOut | None = Field(description="null until the source has been evaluated.")
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

    @classmethod
    def of(cls, record: RunRecord, progress: ProgressOut | None = None) -> Self:
        """Return the run as the API says it."""
        return cls(
            run_id=record.run_id,
            source_uri=record.source_uri,
            month=record.month.first_day,
            dry_run=record.dry_run,
            status=record.status,
            started_at=record.started_at,
            finished_at=record.finished_at,
            error=record.error and RunErrorOut(code=record.error.code, detail=record.error.detail),
            counts=CountsOut.of(record.counts),
            ledger=record.ledger and LedgerOut.of(record.ledger),
            warnings=[WarningOut.of(warning) for warning in record.warnings],
            invalid_samples=[InvalidSampleOut.of(sample) for sample in record.invalid_samples],
            sample_alerts=[RunAlertOut.of(row) for row in record.sample_alerts],
            sample_errors=[RunAlertOut.of(row) for row in record.sample_errors],
            sample_withdrawn=[WithdrawnOut.of(row) for row in record.sample_withdrawn],
            sample_restated=[RunAlertOut.of(row) for row in record.sample_restated],
            plan=record.plan,
            plan_digest=record.plan_digest,
            progress=progress,
        )


class RunsOut(Out):
    """Runs, newest first."""

    runs: list[RunOut]
    next_cursor: str | None = Field(description="Pass it as `cursor` for what follows; null at the end.")

    @classmethod
    def of(cls, page: Page[RunRecord]) -> Self:
        """Return a page of runs as the API says it."""
        return cls(runs=[RunOut.of(record) for record in page.items], next_cursor=page.next_cursor)


class AlertsOut(Out):
    """Alerts of a run, in the order in which they are sent."""

    alerts: list[RunAlertOut]
    next_cursor: str | None = Field(description="Pass it as `cursor` for what follows; null at the end.")

    @classmethod
    def of(cls, page: Page[RunAlert]) -> Self:
        """Return a page of alerts as the API says it."""
        return cls(alerts=[RunAlertOut.of(row) for row in page.items], next_cursor=page.next_cursor)


class PreviewOut(Out):
    """What a run would do: the same set in the same order. Nothing was sent, claimed or written."""

    source_uri: str
    month: date
    plan_digest: str = Field(
        description="Over the source's versions, month, rules, routing, and alerts. Give it to `POST /runs`, "
        "and that run does just this or nothing."
    )
    total: int = Field(description="All alerts, those beyond `limit` included.")
    alerts: list[PreviewAlertOut]
    withdrawn: list[WithdrawnOut] = Field(
        description="What earlier runs over the same source had and this one has no more; at most `limit`."
    )
    counts: CountsOut
    ledger: LedgerOut
    warnings: list[WarningOut]
    invalid_samples: list[InvalidSampleOut]
    seconds_by_channel: dict[str, float] = Field(
        description="Time that the sends need at the configured pace; 0 when unpaced."
    )

    @classmethod
    def of(cls, preview: Preview) -> Self:
        """Return the preview as the API says it."""
        return cls(
            source_uri=preview.source_uri,
            month=preview.month.first_day,
            plan_digest=preview.plan_digest,
            total=preview.total,
            alerts=[PreviewAlertOut.of(row) for row in preview.alerts],
            withdrawn=[WithdrawnOut.of(row) for row in preview.withdrawn],
            counts=CountsOut.of(preview.counts),
            ledger=LedgerOut.of(preview.ledger),
            warnings=[WarningOut.of(warning) for warning in preview.warnings],
            invalid_samples=[InvalidSampleOut.of(sample) for sample in preview.invalid_samples],
            seconds_by_channel=preview.seconds_by_channel,
        )
