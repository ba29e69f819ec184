"""How the API says an alert: what it is about, and what a run did or would do about it."""

from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from service.alert import Alert
from service.delivery import Outcome, Reason
from service.run_record import Action, PreviewAlert, RunAlert


class Out(BaseModel):
    """Base of the answers."""

    model_config = ConfigDict(frozen=True)


class AlertFactsOut(Out):
    """What an alert is about, wherever it is listed."""

    alert_id: str = Field(description="The same for the same account and month in every run.")
    account_id: str
    account_name: str
    account_region: str | None = Field(description="As in the source; routing matches it exactly.")
    channel: str | None = Field(description="null: no channel is configured for the region.")
    month: date
    duration_months: int = Field(ge=1)
    duration_is_minimum: bool = Field(description="The streak reached the edge of history.")
    risk_start_month: date
    arr: int | None = Field(description="null: unknown.")
    renewal_date: date | None
    account_owner: str | None


def _facts(alert: Alert) -> dict[str, Any]:
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


class RunAlertOut(AlertFactsOut):
    """One alert of a run and what this run did about it."""

    outcome: Outcome
    reason: Reason | None
    error_message: str | None
    http_status: int | None = Field(description="Of the last answer in this run.")
    attempts: int = Field(description="POSTs of this run.")

    @classmethod
    def of(cls, row: RunAlert) -> Self:
        """Return the alert as the API says it."""
        return cls(
            **_facts(row.alert),
            channel=row.channel,
            outcome=row.outcome,
            reason=row.reason,
            error_message=row.error_message,
            http_status=row.http_status,
            attempts=row.attempts,
        )


class PreviewAlertOut(AlertFactsOut):
    """An alert, what a run would do about it, and the message as it would look."""

    details_url: str
    action: Action
    reason: Reason | None
    message: dict[str, Any] = Field(description="The payload that would be posted: `text` and `blocks`.")

    @classmethod
    def of(cls, row: PreviewAlert) -> Self:
        """Return the alert as the API says it."""
        return cls(
            **_facts(row.alert),
            channel=row.channel,
            details_url=row.details_url,
            action=row.action,
            reason=row.reason,
            message=row.message,
        )
