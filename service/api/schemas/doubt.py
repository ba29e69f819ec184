"""How the API says what has become of an alert over all runs, and takes a person's word on one in doubt."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from service.api import examples
from service.api.schemas.alert import AlertFactsOut, Out, facts_of
from service.domain.alert_record import AlertRecord, SettledDoubt
from service.domain.delivery_status import DeliveryStatus, Reason, SettleAs


class SettleIn(BaseModel):
    """How a person settles whether Slack has an alert."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [examples.SETTLE_IN]})

    settle_as: SettleAs = Field(
        alias="as",
        description="`sent`: Slack has it, and nobody posts it; `resend`: the month's next run sends it.",
    )
    note: str | None = Field(default=None, max_length=2000, description="Why; kept with the decision.")
    by: str | None = Field(
        default=None, min_length=1, max_length=200, description="Who decided; `api` where nobody says."
    )


class SettledDoubtOut(Out):
    """What a person decided about the alert when it was in doubt."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    settled_as: SettleAs = Field(alias="as")
    by: str
    at: datetime
    note: str | None
    run_id: str = Field(description="The run that left it in doubt.")

    @classmethod
    def of(cls, settled: SettledDoubt) -> Self:
        """Return the decision as the API says it."""
        return cls.model_validate(settled, from_attributes=True)


class AlertOut(AlertFactsOut):
    """What has become of an alert over all runs."""

    run_id: str = Field(description="The run that it was sent by, or last evaluated by.")
    status: DeliveryStatus
    reason: Reason | None
    error_message: str | None
    http_status: int | None = Field(description="Of the last answer.")
    claimed_at: datetime | None = Field(description="When it was last about to be posted.")
    sent_at: datetime | None
    updated_at: datetime
    settled: list[SettledDoubtOut] = Field(description="What people decided about it, oldest first.")

    @classmethod
    def of(cls, record: AlertRecord) -> Self:
        """Return the alert as the API says it."""
        return cls(
            **facts_of(record.alert),
            channel=record.channel,
            run_id=record.run_id,
            status=record.status,
            reason=record.reason,
            error_message=record.error_message,
            http_status=record.http_status,
            claimed_at=record.claimed_at,
            sent_at=record.sent_at,
            updated_at=record.updated_at,
            settled=[SettledDoubtOut.of(item) for item in record.settled],
        )


class SettledOut(Out):
    """The alerts of a run that were settled at once; only the command line does that."""

    settled: list[AlertOut]
