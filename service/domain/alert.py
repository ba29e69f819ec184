"""The alert: what somebody must hear about, once: a type, a subject, a period, and facts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from service.domain.delivery_status import DeliveryStatus, Reason, SettleAs
from service.domain.tenant import DEFAULT_TENANT

Fact: TypeAlias = str | int | float | bool | None
"""A plain value, as JSON has it; dates and months are ISO 8601."""


class Alert(Protocol):
    """What the store, the delivery and the replay know of an alert; what it means, its type knows."""

    @property
    def alert_id(self) -> str:
        """The same for the same type, subject and period in every run, on every machine: 32 hex digits."""

    @property
    def alert_type(self) -> str:
        """The name of its type, such as `risk_alert`."""

    @property
    def subject(self) -> str:
        """What it is about, such as an account's id."""

    @property
    def period(self) -> str:
        """When it is about, such as a month's first day."""

    @property
    def route(self) -> str | None:
        """What leads it to a channel, such as a region, matched exactly; None leads nowhere."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """Everything else that its type knows, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAlert:
    """An alert of any type, as it is written down."""

    alert_id: str
    alert_type: str
    subject: str
    period: str
    route: str | None
    facts: Mapping[str, Fact]

    @classmethod
    def of(cls, alert: Alert) -> "RecordedAlert":
        """Return an alert with all that is written down of it, so that it is made only once."""
        return cls(
            alert_id=alert.alert_id,
            alert_type=alert.alert_type,
            subject=alert.subject,
            period=alert.period,
            route=alert.route,
            facts=alert.facts,
        )


def alert_id_of(*, tenant_id: str, alert_type: str, subject: str, period: str) -> str:
    """Return the id of an alert: 32 hex digits over all that sets it apart from others."""
    named = (alert_type, period, subject)
    # The ids of the first version, which knew no tenants, stay as they are.
    identity = "\x1f".join(named if tenant_id == DEFAULT_TENANT else (tenant_id, *named))
    return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


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
    slack_channel: str | None
    """Where its message stands, by the channel's id, and the timestamp that it is known by there."""
    slack_ts: str | None
    slack_updated_at: datetime | None
    """When the message last showed what had become of the alert by then."""
    slack_update_error: Reason | None
    """Why it could not, the last time it was to."""
