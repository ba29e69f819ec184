"""The alert that people work on, what happened to it, and what can be asked about many."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service.domain.alert import AlertRecord
from service.domain.lifecycle.alert_status import AlertStatus, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedAlert:
    """One problem over time."""

    alert_id: str
    """32 hex digits."""
    tenant_id: str
    alert_type: str
    rule_name: str
    message: str
    severity: Severity
    status: AlertStatus
    subject: str | None
    route: str | None
    dedup_key: str | None
    version: int
    """How many changes it has seen: the number of its newest event."""
    created_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledgment_note: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolution_note: str | None
    resolution_reason: str | None
    reopened: int
    """How often."""
    previous_alert_id: str | None
    last_seen: str | None
    """What the newest evaluation said of it; None where none ever does."""
    occurrences: tuple[AlertRecord, ...]
    """Oldest first, each with its delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """What happened to an alert once; never changed."""

    number: int
    """The alert's version afterwards."""
    at: datetime
    """By the database's clock."""
    event: str
    from_status: str | None
    to_status: str
    by: str | None
    given_by: str | None
    """Whom the principal named as the one who did it."""
    note: str | None
    reason: str | None
    occurrence_id: str | None
    period: str | None
    request_id: str | None
    run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlert:
    """An alert that somebody creates."""

    rule_name: str
    message: str
    severity: Severity
    subject: str | None = None
    route: str | None = None
    channel: str | None = None
    dedup_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts; what is None lets every one through."""

    status: AlertStatus | None = None
    severity: Severity | None = None
    rule_name: str | None = None
    subject: str | None = None
    route: str | None = None
    since: datetime | None = None
    """Those created then or later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStats:
    """How many alerts there are."""

    by_status: Mapping[AlertStatus, int]
    by_severity: Mapping[Severity, int]
    oldest_open: datetime | None
    """When it was created."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why one of many was not changed."""

    alert_id: str
    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """What became of many at once: each that was matched is changed, unchanged or refused."""

    matched: int
    changed: int
    unchanged: int
    refused: tuple[Refusal, ...]
