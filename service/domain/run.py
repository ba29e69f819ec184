"""The run: what was asked for, and what is known of it afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Self, TypeAlias, TypeVar

from service.domain.alert import Alert, Fact
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.evaluation import RunWarning
from service.domain.ledger import Ledger
from service.domain.lifecycle.run_changes import SubjectChange
from service.domain.progress import RunStatus as RunStatus  # noqa: PLC0414  # one of the nouns here; `--help` loads it there
from service.domain.source_uri import SourceUri

T = TypeVar("T")

Restatement: TypeAlias = Mapping[str, tuple[Fact, Fact]]
"""The facts that read otherwise now than when the alert was sent, by name: (before, now)."""


class Action(StrEnum):
    """What a run would do about an alert, as a preview says it."""

    SEND = "send"
    SKIP_REPLAY = "skip_replay"
    HOLD = "hold"
    FAIL = "fail"
    IN_DIGEST = "in_digest"
    """Another alert of the same evaluation stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a caller asks for."""

    kind: str
    """The name of the kind of run, such as `account_risk`."""
    scope: str
    """Whose alerts it evaluates, all of them, such as `risk_alert:2026-01-01`."""
    source: SourceUri
    period: str | None
    """What it is about, such as a month's first day."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What else its kind has to know."""
    lease: str | None = None
    """What only one run at a time may work on, where that is more than the scope; None: the scope."""
    dry_run: bool = False
    plan_digest: str | None = None
    """The plan that the caller has seen: the run refuses to do any other."""
    idempotency_key: str | None = None
    """The caller's name for this request: made again, it is the same run."""

    @property
    def source_uri(self) -> str:
        """The source as the caller wrote it."""
        return self.source.text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """The numbers that a person asks for at nine in the morning."""

    rows_scanned: int = 0
    duplicates: int = 0
    alerts: int = 0
    alerts_sent: int = 0
    would_send: int = 0
    skipped_replay: int = 0
    failed_deliveries: int = 0
    """Includes `unknown_region`."""
    unknown_region: int = 0
    unknown: int = 0
    unsent: int = 0
    withdrawn: int = 0
    """Alerts of earlier runs over the same source that this evaluation no longer has; not among `alerts`."""
    restated: int = 0
    """Those of `skipped_replay` that were sent, and read otherwise now."""
    in_digest: int = 0
    """Alerts that another one stands for."""

    @classmethod
    def of(
        cls,
        rows: Mapping[str, Any],
        outcomes: Mapping[str, int] | Mapping[Outcome, int],
        *,
        withdrawn: int,
        restated: int,
        unknown_region: int,
    ) -> Self:
        """Return the counts of a run; a kind of run may count no rows or duplicates."""
        return cls(
            rows_scanned=rows.get("rows_scanned", 0),
            duplicates=rows.get("duplicates", 0),
            alerts=rows.get("alerts", 0),
            alerts_sent=outcomes.get(Outcome.SENT, 0),
            would_send=outcomes.get(Outcome.WOULD_SEND, 0),
            skipped_replay=outcomes.get(Outcome.SKIPPED_REPLAY, 0),
            failed_deliveries=outcomes.get(Outcome.FAILED, 0),
            unknown_region=unknown_region,
            unknown=outcomes.get(Outcome.UNKNOWN, 0),
            unsent=outcomes.get(Outcome.UNSENT, 0),
            withdrawn=withdrawn,
            restated=restated,
            in_digest=outcomes.get(Outcome.IN_DIGEST, 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunError:
    """Why a run failed."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAlert:
    """One alert of a run and what this run did about it."""

    alert: Alert
    channel: str | None
    """Where it went or may have gone, else where it goes; None where its route leads to no channel."""
    outcome: Outcome
    reason: Reason | None
    error_message: str | None
    http_status: int | None
    """Of the last answer in this run."""
    attempts: int
    """POSTs of this run."""
    restated: Restatement | None = None
    """None unless it was sent before, and otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawnAlert:
    """An alert of an earlier run over the same source that a run's evaluation no longer has."""

    alert: Alert
    """As it was sent, or last evaluated."""
    channel: str | None
    status: DeliveryStatus
    """As the run found it: `pending` and `failed` became `withdrawn`, anything else is only reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """All that is known of a run."""

    run_id: str
    kind: str
    scope: str
    lease: str | None = None
    """What it held where that is more than its scope."""
    source_uri: str
    period: str | None
    dry_run: bool
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    error: RunError | None
    counts: RunCounts
    ledger: Ledger | None
    """None until the evaluation is done, and for runs that failed before."""
    warnings: tuple[RunWarning, ...] = ()
    invalid_samples: tuple[Mapping[str, Any], ...] = ()
    plan: dict[str, Any] | None = None
    """What the scan decided to read, from the footers alone; None until the evaluation is done."""
    plan_digest: str | None = None
    """Of this run's own plan; None until the evaluation is done."""
    progress: dict[str, Any] | None = None
    """The last heartbeat's progress; None once the run has finished."""
    sample_alerts: tuple[RunAlert, ...] = ()
    sample_errors: tuple[RunAlert, ...] = ()
    sample_withdrawn: tuple[WithdrawnAlert, ...] = ()
    sample_restated: tuple[RunAlert, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewAlert:
    """An alert, what a run would do about it, and the message as it would look."""

    alert: Alert
    channel: str | None
    details_url: str | None
    action: Action
    reason: Reason | None
    message: dict[str, Any]
    """The payload that would be posted: `text` and `blocks`."""
    restated: Restatement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSummary:
    """What a channel would read after a run."""

    channel: str
    message: dict[str, Any]
    """The payload that would be posted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a run would send, shown without sending, claiming or writing anything."""

    source_uri: str
    kind: str
    lease: str | None
    period: str | None
    plan_digest: str
    """A run that is given it does just this, or nothing."""
    total: int
    alerts: tuple[PreviewAlert, ...] = field(repr=False)
    """The first `limit` of them, in the order in which they would be sent."""
    withdrawn: tuple[WithdrawnAlert, ...]
    """The first `limit` of them, by subject."""
    counts: RunCounts
    ledger: Ledger
    warnings: tuple[RunWarning, ...]
    invalid_samples: tuple[Any, ...]
    recovered: tuple[SubjectChange, ...] = ()
    """The first `limit` accounts whose open alert the run would end, by ARR."""
    recovered_total: int = 0
    summaries: tuple[PreviewSummary, ...] = field(default=(), repr=False)
    seconds_by_channel: dict[str, float] = field(default_factory=dict)
    """How long the sends need per channel at the configured pace; 0 when unpaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A stretch of a list; `next_cursor` is None at its end."""

    items: tuple[T, ...]
    next_cursor: str | None
