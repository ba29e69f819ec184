"""Events: what happened, as small records; hooks turn them into log lines, and whatever else is wanted."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Final

from service.domain.delivery_status import Outcome, Reason, SettleAs
from service.domain.run import RunRecord, RunStatus
from service.telemetry.structured import structlog

_SUBJECTS: Final = {"risk_alert": "account_id"}
"""What lines of the log call the subject of an alert: a stable name of theirs, for dashboards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; its fields are those of its line in the log."""

    name: ClassVar[str]
    """Stable, for alerting rules and dashboards."""
    level: ClassVar[int] = logging.INFO

    @property
    def severity(self) -> int:
        """How urgently a person should look at it: a level of `logging`."""
        return self.level

    def values(self) -> dict[str, Any]:
        """Return the fields of the line."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """The process has its database, and knows how it reaches Slack."""

    name = "opened"
    database: str
    """Its URL without the password."""
    slack: str | None
    """The setting that leads to Slack; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerNotNamed(Event):
    """The ledger is the one that lies in this folder, where it was the default once."""

    name = "ledger_not_named"
    level = logging.WARNING
    database: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMayBeLost(Event):
    """SQLite inside a pod: the ledger lasts as long as the volume that it lies on."""

    name = "ledger_may_be_lost"
    level = logging.WARNING
    database: str
    detail: str = (
        "a SQLite file in a Kubernetes pod is lost with the pod unless it lies on a persistent volume, and "
        "the next run would then send everything again"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run was accepted and recorded."""

    name = "run_started"
    run_id: str
    source_uri: str
    month: str | None
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWaiting(Event):
    """Another run of the same scope is at work, and this one waits for it."""

    name = "run_waiting"
    run_id: str
    month: str | None
    holder_run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRescued(Event):
    """A run whose process died was closed; `in_doubt` alerts may or may not have arrived."""

    name = "run_rescued"
    level = logging.WARNING
    run_id: str
    in_doubt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(Event):
    """A run whose process died goes on here, with `to_send` alerts."""

    name = "run_resumed"
    level = logging.WARNING
    run_id: str
    in_doubt: int
    to_send: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReleased(Event):
    """A run was left unfinished because the process was asked to stop."""

    name = "run_released"
    level = logging.WARNING
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """Everything about a run in one line: the canonical one."""

    name = "run_finished"
    record: RunRecord
    undelivered: Mapping[str, int]
    """The alerts of any month that have not gone out, by state."""

    @property
    def severity(self) -> int:
        """An error where the run failed, a warning where a person should look at it."""
        if self.record.status is RunStatus.FAILED:
            return logging.ERROR
        counts = self.record.counts
        troubled = counts.failed_deliveries or counts.unknown or counts.unsent or self.record.warnings
        return logging.WARNING if troubled else logging.INFO

    def values(self) -> dict[str, Any]:
        """Return the run's facts, counts and ledger."""
        record = self.record
        seconds = record.finished_at and (record.finished_at - record.started_at).total_seconds()
        return {
            "run_id": record.run_id,
            "status": record.status,
            "source_uri": record.source_uri,
            "month": record.period,
            "dry_run": record.dry_run,
            "duration_s": seconds and round(seconds, 3),
            "error": record.error and {"code": record.error.code, "detail": record.error.detail},
            **asdict(record.counts),
            "ledger": record.ledger and record.ledger.values(),
            "warnings": {warning.code: warning.count for warning in record.warnings},
            "undelivered": dict(self.undelivered),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent(Event):
    """Something about an alert; never its facts, such as an account's name or owner."""

    run_id: str
    alert_type: str
    subject: str
    alert_id: str

    def values(self) -> dict[str, Any]:
        """Return the fields, the subject by the name that its type has for it."""
        values = Event.values(self)
        return {_SUBJECTS.get(self.alert_type, "subject"): values.pop("subject"), **values}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent(AlertEvent):
    """Something that a run did about an alert."""

    channel: str | None
    reason: Reason | None
    http_status: int | None
    attempts: int
    """POSTs so far in this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRetried(DeliveryEvent):
    """An alert goes back to its lane for `wait_s` seconds."""

    name = "alert_retried"
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettled(DeliveryEvent):
    """What a run did about an alert, once the ledger says so: one line per alert and run."""

    name = "alert_settled"
    outcome: Outcome

    @property
    def severity(self) -> int:
        """A warning where a person has to look at it."""
        quiet = {Outcome.SENT, Outcome.WOULD_SEND, Outcome.SKIPPED_REPLAY, Outcome.PENDING}
        return logging.INFO if self.outcome in quiet else logging.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDecided(AlertEvent):
    """A person has settled whether Slack has an alert; the note stays in the database."""

    name = "alert_decided"
    channel: str | None
    settled_as: SettleAs
    settled_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePaused(Event):
    """Nothing leaves a lane for `pause_s` seconds."""

    name = "lane_paused"
    run_id: str
    channel: str
    reason: Reason
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneEnded(Event):
    """A lane was given up with `alerts_untried` alerts not tried."""

    name = "lane_ended"
    level = logging.WARNING
    run_id: str
    channel: str
    reason: Reason
    alerts_untried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeEvent(Event):
    """What became of a run's support notice about `accounts` accounts."""

    run_id: str
    accounts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSent(NoticeEvent):
    """The mail server took it."""

    name = "notice_sent"
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeWritten(NoticeEvent):
    """It was written to a file, in the absence of a mail server."""

    name = "notice_written"
    level = logging.WARNING
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeUnchanged(NoticeEvent):
    """There is none: support was notified of just the same after the last run."""

    name = "notice_unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFailed(NoticeEvent):
    """It could not be delivered; `error` names the kind, never the content."""

    name = "notice_failed"
    level = logging.ERROR
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Event):
    """An error that nobody foresaw, with its stack."""

    level = logging.ERROR
    error: BaseException

    def values(self) -> dict[str, Any]:
        """Return the fields, the error as a stack."""
        return {"exc_info" if name == "error" else name: value for name, value in Event.values(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFailed(Failure):
    """The sweep could not look after runs whose process died."""

    name = "rescue_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned(Event):
    """What was older than `KEEP_RUNS_DAYS` was deleted: how many rows of which table."""

    name = "pruned"
    rows: Mapping[str, int]
    before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneFailed(Failure):
    """What is too old could not be deleted this time."""

    name = "prune_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailure(Failure):
    """An error in a run's own work."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(RunFailure):
    """A run fails for a reason that nobody foresaw."""

    name = "run_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNotReleased(RunFailure):
    """Not even that a run is left could be written down: its lease runs out by itself."""

    name = "run_not_released"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNotClosed(RunFailure):
    """Not even that a run has failed could be written down; `error` is why it failed."""

    name = "run_not_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatFailed(RunFailure):
    """A run's heartbeat could not be written to the database."""

    name = "heartbeat_failed"


Hook = Callable[[Event], None]


def log_line(event: Event) -> None:
    """Write the event's one line of the log; the hook that every process has."""
    values = {name: _shown(value) for name, value in event.values().items()}
    structlog.get_logger().log(event.severity, event.name, **values)


class Events:
    """Where flows emit events; every hook hears of each, in turn."""

    def __init__(self, *hooks: Hook) -> None:
        self._hooks = hooks or (log_line,)

    def emit(self, event: Event) -> None:
        """Give the event to every hook; raises nothing, since no run may fail of being watched."""
        for hook in self._hooks:
            try:
                hook(event)
            except Exception as error:  # noqa: BLE001  # see above
                structlog.get_logger().error("hook_failed", event_name=event.name, exc_info=error)


def _shown(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
