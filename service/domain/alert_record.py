"""The alert over all runs: what has become of it, and how people settled it."""

from dataclasses import dataclass
from datetime import datetime

from service.domain.alert import Alert
from service.domain.delivery_status import DeliveryStatus, Reason, SettleAs


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledDoubt:
    """How a person settled an alert in doubt."""

    settled_as: SettleAs
    by: str
    """Who: the principal; while nobody is asked who they are, as they called themselves."""
    given_by: str | None
    """Whom the principal named as the one who decided."""
    at: datetime
    note: str | None
    run_id: str
    """The run that left it in doubt."""
    claim: int
    """Which claim of the alert was in doubt; each is settled once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """All that is known of an alert; a run's own view of it is `RunAlert`."""

    alert: Alert
    """As it was sent, or as the newest evaluation has it."""
    run_id: str
    """The run whose evaluation that is."""
    channel: str | None
    status: DeliveryStatus
    reason: Reason | None
    error_message: str | None
    http_status: int | None
    claimed_at: datetime | None
    """When it was last about to be posted."""
    sent_at: datetime | None
    updated_at: datetime
    settled: tuple[SettledDoubt, ...]
    """Oldest first."""
