"""What a run would send."""

from datetime import date
from typing import Any

from pydantic import AliasChoices, Field

from service.api.schemas.alert import AlertFactsOut, Restated, WithdrawnOut
from service.api.schemas.answer import Out
from service.api.schemas.evaluation import CountsOut, InvalidSampleOut, LedgerOut, WarningOut
from service.domain.delivery_status import Reason
from service.domain.run import Action


class PreviewAlertOut(AlertFactsOut):
    """An alert, what a run would do about it, and the message as it would look."""

    details_url: str
    action: Action
    reason: Reason | None
    message: dict[str, Any] = Field(description="The payload that would be posted: `text` and `blocks`.")
    restated: Restated


class PreviewOut(Out):
    """What a run would send, in the same order. Nothing was sent, claimed or written."""

    source_uri: str
    month: date = Field(validation_alias=AliasChoices("period", "month"))
    plan_digest: str = Field(
        description="Over the source's versions, month, rules, routing, and alerts. Give it to `POST /runs`, "
        "and that run executes exactly this or nothing."
    )
    total: int = Field(description="All alerts, those beyond `limit` included.")
    alerts: list[PreviewAlertOut]
    withdrawn: list[WithdrawnOut] = Field(
        description="What earlier runs over the same source had and this one has no more; at most `limit`."
    )
    counts: CountsOut
    ledger: LedgerOut
    warnings: list[WarningOut]
    invalid_samples: list[InvalidSampleOut]
    seconds_by_channel: dict[str, float] = Field(
        description="Time that the sends need at the configured pace; 0 when unpaced."
    )
