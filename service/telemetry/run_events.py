"""Run events: what happens to a run."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.domain.run import RunRecord, RunStatus
from service.telemetry.events import Event, Failure


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
    """Not even that a run has failed could be written down; the error is why it failed."""

    name = "run_not_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatFailed(RunFailure):
    """A run's heartbeat could not be written to the database."""

    name = "heartbeat_failed"
