"""How the API says an alert: what it is about, and what a run did or would do about it."""

from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from service.domain.alert import Alert
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.run import Action, Page, PreviewAlert, Restatement, RunAlert, WithdrawnAlert


class Out(BaseModel):
    """Base of the answers."""

    model_config = ConfigDict(frozen=True)


class AlertFactsOut(Out):
    """What an alert is about, wherever it is listed."""

    alert_id: str = Field(description="The same for the same account and month in every run.")
    account_id: str
    account_name: str
    account_region: str | None = Field(description="As in the source; routing matches it exactly.")
    channel: str | None = Field(
        description="Where it went or may have gone, else where it goes; null: no channel for the region."
    )
    month: date
    duration_months: int = Field(ge=1)
    duration_is_minimum: bool = Field(description="The streak reached the edge of history.")
    risk_start_month: date
    arr: int | None = Field(description="null: unknown.")
    renewal_date: date | None
    account_owner: str | None


def facts_of(alert: Alert) -> dict[str, Any]:
    """Return the facts of an alert as the API says them; its channel is known elsewhere."""
    return {
        "alert_id": alert.alert_id,
        "account_id": alert.account_id,
        "account_name": alert.account_name,
        "account_region": alert.account_region,
        "month": alert.month.first_day,
        "duration_months": alert.duration_months,
        "duration_is_minimum": alert.duration_is_minimum,
        "risk_start_month": alert.risk_start_month.first_day,
        "arr": alert.arr,
        "renewal_date": alert.renewal_date,
        "account_owner": alert.account_owner,
    }


class RestatementOut(Out):
    """What reads otherwise now than when the alert was sent."""

    arr: tuple[int | None, int | None] | None = Field(description="[before, now]; null: the same.")
    duration_months: tuple[int, int] | None = Field(description="[before, now]; null: the same.")

    @classmethod
    def of(cls, restated: Restatement) -> Self:
        """Return the restatement as the API says it."""
        return cls.model_validate(restated, from_attributes=True)


_RESTATED = "It was sent by an earlier run, with another ARR or duration, and is not posted again."


class RunAlertOut(AlertFactsOut):
    """One alert of a run and what this run did about it."""

    outcome: Outcome
    reason: Reason | None
    error_message: str | None
    http_status: int | None = Field(description="Of the last answer in this run.")
    attempts: int = Field(description="POSTs of this run.")
    restated: RestatementOut | None = Field(description=_RESTATED)

    @classmethod
    def of(cls, row: RunAlert) -> Self:
        """Return the alert as the API says it."""
        return cls(
            **facts_of(row.alert),
            channel=row.channel,
            outcome=row.outcome,
            reason=row.reason,
            error_message=row.error_message,
            http_status=row.http_status,
            attempts=row.attempts,
            restated=row.restated and RestatementOut.of(row.restated),
        )


class WithdrawnOut(AlertFactsOut):
    """An alert of an earlier run over the same source that this run's evaluation no longer has."""

    status: DeliveryStatus = Field(
        description="As the run found it. What was `pending` or `failed` is `withdrawn` since, and is not "
        "sent any more; what was `sent`, or may have been (`unknown`), is only reported."
    )

    @classmethod
    def of(cls, row: WithdrawnAlert) -> Self:
        """Return the alert as the API says it."""
        return cls(**facts_of(row.alert), channel=row.channel, status=row.status)


class WithdrawalsOut(Out):
    """What a run's evaluation no longer has, by account id."""

    withdrawn: list[WithdrawnOut]
    next_cursor: str | None = Field(description="Pass it as `cursor` for what follows; null at the end.")

    @classmethod
    def of(cls, page: Page[WithdrawnAlert]) -> Self:
        """Return a page of withdrawn alerts as the API says it."""
        return cls(withdrawn=[WithdrawnOut.of(row) for row in page.items], next_cursor=page.next_cursor)


class PreviewAlertOut(AlertFactsOut):
    """An alert, what a run would do about it, and the message as it would look."""

    details_url: str
    action: Action
    reason: Reason | None
    message: dict[str, Any] = Field(description="The payload that would be posted: `text` and `blocks`.")
    restated: RestatementOut | None = Field(description=_RESTATED)

    @classmethod
    def of(cls, row: PreviewAlert) -> Self:
        """Return the alert as the API says it."""
        return cls(
            **facts_of(row.alert),
            channel=row.channel,
            details_url=row.details_url,
            action=row.action,
            reason=row.reason,
            message=row.message,
            restated=row.restated and RestatementOut.of(row.restated),
        )
