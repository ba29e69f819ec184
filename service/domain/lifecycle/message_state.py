"""The state of a message: what has become of its alert since it went out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.domain.identity.principal import PrincipalKind
from service.domain.lifecycle.alert_status import AlertStatus, Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageState:
    """Where the work on an alert stands, as its message shows it."""

    status: AlertStatus
    by: str | None = None
    """Who took the last step, if somebody did."""
    at: datetime | None = None
    note: str | None = None
    reason: Resolution | None = None
    """Why the alert is over."""

    @property
    def slack_user(self) -> str | None:
        """The id of whom Slack alone has a name for: they pressed a button, and have no account here."""
        kind, _, user_id = (self.by or "").partition(":")
        return user_id if kind == PrincipalKind.SLACK else None

    @classmethod
    def of(cls, alert: Mapping[str, Any]) -> "MessageState":
        """Return the state of an alert by its columns."""
        match status := AlertStatus(alert["status"]):
            case AlertStatus.TRIGGERED:
                return cls(status=status)
            case AlertStatus.ACKNOWLEDGED:
                by, at, note = (alert[name] for name in ACKNOWLEDGED)
                return cls(status=status, by=by, at=at, note=note)
        by, at, note, reason = (alert[name] for name in RESOLVED)
        return cls(status=status, by=by, at=at, note=note, reason=reason and Resolution(reason))


ACKNOWLEDGED = "acknowledged_by", "acknowledged_at", "acknowledgment_note"
RESOLVED = "resolved_by", "resolved_at", "resolution_note", "resolution_reason"
