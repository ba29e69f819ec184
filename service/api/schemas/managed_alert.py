"""The alert that people work on, as the API says it, and what it is asked."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from service.api.examples import with_example
from service.api.schemas.alert import SettledDoubtOut
from service.api.schemas.answer import Out
from service.domain.alert import AlertRecord
from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.lifecycle.alert_status import CREATED, AlertStatus, AlertStep, Severity
from service.domain.lifecycle.managed_alert import AlertFilter, AlertStats, ManagedAlert
from service.settings.value_types import TenantId


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain half a surrogate pair")
    return text


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie within the years 1 to 9999 of UTC") from None


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Note = Annotated[str | None, Field(max_length=2000, description="Kept for good.")]
By = Annotated[
    str | None,
    Field(min_length=1, max_length=200, description="Who; `api` where nobody says. An identity goes before."),
]
Tenant = Annotated[
    TenantId | None,
    Field(description="Whose; required while nobody is asked who they are, else the caller's."),
]


class DeliveryOut(Out):
    """What has become of an occurrence's message."""

    status: DeliveryStatus
    reason: Reason | None
    error_message: str | None
    http_status: int | None = Field(description="Of the last answer.")
    channel: str | None
    claimed_at: datetime | None = Field(description="When it was last about to be posted.")
    sent_at: datetime | None
    updated_at: datetime
    run_id: str = Field(
        description="The run that it was sent by, or last evaluated by; of a bulk job's alert the job, while "
        "it is at work and where a digest stands for the alert."
    )
    settled: list[SettledDoubtOut] = Field(description="How people settled it, oldest first.")
    slack_channel: str | None = Field(description="The id of the channel, where a bot posted it.")
    slack_ts: str | None = Field(description="The timestamp that Slack knows it by there.")
    slack_updated_at: datetime | None = Field(
        description="When the message last showed what had become of the alert by then."
    )
    slack_update_error: Reason | None = Field(description="Why it could not, the last time it was to.")


class OccurrenceOut(Out):
    """What a run recorded of an alert, such as a month."""

    id: str = Field(description="What settling takes.")
    period: str
    route: str | None
    facts: dict[str, Any]
    delivery: DeliveryOut


class ManagedAlertOut(Out):
    """An alert: one problem over time."""

    id: str = Field(description="That of its first occurrence, or a UUID; any occurrence's id finds it.")
    tenant_id: str
    rule_name: str
    message: str
    severity: Severity
    status: AlertStatus
    created_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    acknowledgment_note: str | None
    resolved_at: datetime | None
    resolution_note: str | None
    alert_type: str = Field(description="`risk_alert`, or `created` for one that was created here.")
    dedup_key: str | None
    version: int = Field(description="How many changes it has seen.")
    acknowledged_by: str | None
    resolved_by: str | None
    resolution_reason: str | None = Field(description="`person`, `recovered`, `withdrawn` or `migrated`.")
    reopened: int = Field(description="How often.")
    previous_alert_id: str | None = Field(description="The one about the same before this one.")
    subject: str | None
    route: str | None
    last_seen: str | None = Field(
        description="What the newest evaluation said of it, such as `alerting` or `not_seen`."
    )
    occurrences: list[OccurrenceOut] = Field(description="Oldest first.")
    delivery: DeliveryOut | None = Field(description="Of the newest occurrence; null: it has none.")

    @classmethod
    def of(cls, record: object) -> Self:
        """Return an alert as the API says it."""
        if not isinstance(record, ManagedAlert):
            return super().of(record)
        plain = {name: getattr(record, name) for name in cls.model_fields if hasattr(record, name)}
        occurrences = [_occurrence(each) for each in record.occurrences]
        return cls.model_validate(
            plain
            | {
                "id": _shown(record, record.alert_id),
                "previous_alert_id": record.previous_alert_id and _shown(record, record.previous_alert_id),
                "occurrences": occurrences,
                "delivery": occurrences[-1]["delivery"] if occurrences else None,
            }
        )


def _shown(alert: ManagedAlert, alert_id: str) -> str:
    return str(uuid.UUID(alert_id)) if alert.alert_type == CREATED else alert_id


def _occurrence(record: AlertRecord) -> dict[str, Any]:
    alert = record.alert
    delivery = DeliveryOut.of(record)
    return {
        "id": alert.alert_id,
        "period": alert.period,
        "route": alert.route,
        "facts": dict(alert.facts),
        "delivery": delivery,
    }


class AlertEventOut(Out):
    """What happened to an alert once."""

    number: int = Field(description="The alert's version afterwards.")
    at: datetime
    event: str
    from_status: AlertStatus | None
    to_status: AlertStatus
    by: str | None = Field(description="`system`: a run, of itself.")
    given_by: str | None = Field(description="Whom the request named, where its caller has an identity.")
    note: str | None
    reason: str | None
    occurrence_id: str | None
    period: str | None
    request_id: str | None
    run_id: str | None


class StatsOut(Out):
    """How many alerts a tenant has."""

    tenant_id: str
    total: int
    triggered: int
    acknowledged: int
    resolved: int
    by_severity: dict[Severity, int]
    oldest_open: datetime | None = Field(description="When it was created.")

    @classmethod
    def counted(cls, tenant_id: str, stats: AlertStats) -> Self:
        """Return the counts of a tenant."""
        by_status = {str(status): count for status, count in stats.by_status.items()}
        return cls(
            tenant_id=tenant_id,
            total=stats.total,
            by_severity=dict(stats.by_severity),
            oldest_open=stats.oldest_open,
            **by_status,
        )


class RefusalOut(Out):
    """Why one of many was not changed."""

    alert_id: str
    error: str
    detail: str


class BulkOut(Out):
    """What became of many at once: each that was matched is changed, unchanged or refused."""

    matched: int
    changed: int
    unchanged: int
    refused: list[RefusalOut]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StepIn(_In):
    """Why, and who."""

    note: Note = None
    by: By = None


class NoteIn(_In):
    """A note."""

    note: Annotated[str, Field(min_length=1, max_length=2000)]
    by: By = None


class AlertIn(_In):
    """An alert to be created."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=with_example("alert_in"))

    tenant_id: Tenant = None
    rule_name: Name
    message: Annotated[Text, Field(min_length=1, max_length=2000)]
    severity: Severity = Severity.MEDIUM
    subject: Annotated[Name | None, Field(description="What it is about; one open alert for each.")] = None
    route: Annotated[Name | None, Field(description="What leads it to a channel, such as a region.")] = None
    channel: Annotated[Name | None, Field(description="Where it goes, whatever its route.")] = None
    dedup_key: Annotated[Name | None, Field(description="One open alert for each.")] = None
    by: By = None


class InternalAlertIn(AlertIn):
    """An alert that another service creates for a tenant."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=with_example("alert_in"))

    tenant_id: TenantId


class AlertFilterIn(_In):
    """Which alerts."""

    tenant_id: Tenant = None
    status: AlertStatus | None = None
    severity: Severity | None = None
    rule_name: Annotated[str | None, Field(max_length=200)] = None
    subject: Annotated[str | None, Field(max_length=2000)] = None
    route: Annotated[str | None, Field(max_length=5000)] = None
    since: Annotated[
        Annotated[AwareDatetime, AfterValidator(_in_utc)] | None,
        Field(description="Created then or later; with a time zone."),
    ] = None

    def wanted(self) -> AlertFilter:
        """Return it as the store takes it."""
        return AlertFilter(**{name: getattr(self, name) for name in AlertFilter.__dataclass_fields__})


class ManagedAlertsQuery(AlertFilterIn):
    """Which page of which alerts."""

    limit: Annotated[int, Field(ge=1, le=50)] = 50
    cursor: Annotated[str | None, Field(max_length=500, description="As the header `Link` has it.")] = None


class EventsQuery(_In):
    """Which page of what happened."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 1000
    cursor: Annotated[str | None, Field(max_length=500, description="As the header `Link` has it.")] = None


class BulkIn(_In):
    """A step for many alerts at once: by their ids, or by a filter and how many it is expected to match."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=with_example("bulk_in"))

    action: Literal[AlertStep.ACKNOWLEDGE, AlertStep.RESOLVE, AlertStep.UNACKNOWLEDGE, AlertStep.REOPEN]
    note: Note = None
    by: By = None
    ids: Annotated[list[Annotated[str, Field(max_length=100)]] | None, Field(min_length=1)] = None
    filter: AlertFilterIn | None = None
    expected: Annotated[int | None, Field(ge=0, description="Another number is 409.")] = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("either ids or a filter is needed")
        return self
