"""What a run would send."""

from typing import Any

from pydantic import Field

from service.api.schemas.alert import AlertFactsOut, OtherFacts, Restated, WithdrawnOut
from service.api.schemas.answer import Out
from service.api.schemas.evaluation import (
    ChangeOut,
    CountsOut,
    InvalidSampleOut,
    LedgerOut,
    LogLedgerOut,
    WarningOut,
)
from service.api.schemas.period import FromOut, MonthOut, StreamOut, UntilOut
from service.api.schemas.run import KINDS
from service.domain.delivery_status import Reason
from service.domain.run import Action


class PreviewAlertOut(AlertFactsOut):
    """An alert, what a run would do about it, and the message as it would look."""

    details_url: str | None
    action: Action
    reason: Reason | None
    message: dict[str, Any] = Field(description="The payload that would be posted: `text` and `blocks`.")
    restated: Restated
    facts: OtherFacts = None


class PreviewSummaryOut(Out):
    """What a channel would read after the run."""

    channel: str
    message: dict[str, Any] = Field(description="The payload that would be posted, with RUN_ID for its run.")


class PreviewOut(Out):
    """What a run would send, in the same order. Nothing was sent, claimed or written."""

    source_uri: str
    kind: str = Field(default=KINDS[0], description="`account_risk` or `log_rules`.")
    month: MonthOut
    stream: StreamOut = None
    from_: FromOut = None
    until: UntilOut = None
    plan_digest: str = Field(
        description="Over the source's versions, month, rules, routing, and alerts. Give it to `POST /runs`, "
        "and that run executes exactly this or nothing."
    )
    total: int = Field(description="All alerts, those beyond `limit` included.")
    alerts: list[PreviewAlertOut]
    withdrawn: list[WithdrawnOut] = Field(
        description="What earlier runs over the same source had and this one has no more; at most `limit`."
    )
    recovered_total: int = Field(default=0, description="Open alerts that the run would end as recovered.")
    recovered: list[ChangeOut] = Field(default=[], description="The first `limit` of those, by ARR.")
    summaries: list[PreviewSummaryOut] = Field(
        default=[],
        description="With `SUMMARY`: the message for each channel in which the run changes something.",
    )
    counts: CountsOut
    ledger: LedgerOut | LogLedgerOut
    warnings: list[WarningOut]
    invalid_samples: list[InvalidSampleOut]
    seconds_by_channel: dict[str, float] = Field(
        description="Time that the sends need at the configured pace; 0 when unpaced."
    )
