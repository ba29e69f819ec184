"""The alert: what it is about, what a run did about it, and what has become of it over all runs."""

from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AliasChoices,
    AliasGenerator,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from service.api.examples import with_example
from service.api.schemas.answer import NextCursor, Out
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason, SettleAs

_OF_ALERT: Final = {
    "alert_id": "alert_id",
    "alert_type": "alert_type",
    "account_id": "subject",
    "account_region": "route",
    "month": "period",
    "facts": "facts",
}
"""What an alert of any type calls what an answer calls so; the rest is among its facts, or beside it."""


_OF_ACCOUNTS: Final = "risk_alert"


def _place(name: str) -> AliasChoices:
    of_alert = (_OF_ALERT[name],) if name in _OF_ALERT else ("facts", name)
    # Where both have the name it is not the same: the channel of a log rule, and where its alert went.
    return AliasChoices(name, AliasPath("alert", *of_alert))


class AlertFactsOut(Out):
    """What an alert is about, wherever it is listed."""

    model_config = ConfigDict(alias_generator=AliasGenerator(validation_alias=_place))

    alert_id: str = Field(description="The same for the same account and month in every run.")
    alert_type: str = Field(
        description="`risk_alert`: an account At Risk in a month. `log_rule`: an episode of a rule over "
        "logs; it has its own `facts`, and what is about accounts is null. In runs outside the months also "
        "`created`, and `summary`: what a channel reads after a run."
    )
    account_id: str | None
    account_name: str | None = None
    account_region: str | None = Field(description="As in the source; routing matches it exactly.")
    channel: str | None = Field(
        description="Where it went or may have gone, else where it goes; null: no channel is configured."
    )
    month: date | None
    duration_months: int | None = Field(None, ge=1)
    duration_is_minimum: bool | None = Field(None, description="The streak reached the edge of history.")
    risk_start_month: date | None = None
    arr: int | None = Field(None, description="null: unknown.")
    renewal_date: date | None = None
    account_owner: str | None = None

    @field_validator("account_id", "account_region", "month", mode="before")
    @classmethod
    def _of_an_account(cls, value: Any, info: ValidationInfo) -> Any:
        return value if info.data.get("alert_type") == _OF_ACCOUNTS else None

    @field_validator("facts", mode="before", check_fields=False)
    @classmethod
    def _of_another_type(cls, value: Any, info: ValidationInfo) -> Any:
        return None if info.data.get("alert_type") == _OF_ACCOUNTS else value


OtherFacts = Annotated[
    dict[str, Any] | None,
    Field(description="Of a `log_rule`: its rule, group, instants and counts; null for accounts."),
]


class RestatementOut(Out):
    """What reads otherwise now than when the alert was sent: [before, now]; null: the same."""

    arr: tuple[int | None, int | None] | None = None
    duration_months: tuple[int, int] | None = None
    last: tuple[str, str] | None = Field(None, description="Of an episode of a log.")
    peak: tuple[int, int] | None = Field(None, description="Of an episode of a log.")
    events: tuple[int, int] | None = Field(None, description="Of an episode of a log.")
    episodes: tuple[int, int] | None = Field(None, description="Of a digest.")


Restated = Annotated[
    RestatementOut | None,
    Field(
        description="It was sent by an earlier run, with another ARR or duration, and is not posted again."
    ),
]


class RunAlertOut(AlertFactsOut):
    """One alert of a run and what this run did about it."""

    outcome: Outcome
    reason: Reason | None
    error_message: str | None
    http_status: int | None = Field(description="Of the last answer in this run.")
    attempts: int = Field(description="POSTs of this run.")
    restated: Restated
    facts: OtherFacts = None


class WithdrawnOut(AlertFactsOut):
    """An alert of an earlier run over the same source that this run's evaluation no longer has."""

    status: DeliveryStatus = Field(
        description="As the run found it. What was `pending` or `failed` is `withdrawn` since, and is not "
        "sent any more; what was `sent`, or may have been (`unknown`), is only reported."
    )
    facts: OtherFacts = None


class WithdrawalsOut(Out):
    """What a run's evaluation no longer has, by account id."""

    withdrawn: list[WithdrawnOut] = Field(validation_alias=AliasChoices("items", "withdrawn"))
    next_cursor: NextCursor


class AlertsOut(Out):
    """Alerts of a run, in the order in which they are sent."""

    alerts: list[RunAlertOut] = Field(validation_alias=AliasChoices("items", "alerts"))
    next_cursor: NextCursor


class SettleIn(BaseModel):
    """How a person settles whether Slack has an alert."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=with_example("settle_in"))

    settle_as: SettleAs = Field(
        alias="as",
        description="`sent`: Slack has it, and nobody posts it; `resend`: the next run of its month or "
        "period sends it.",
    )
    note: str | None = Field(default=None, max_length=2000, description="Why; kept with the alert.")
    by: str | None = Field(
        default=None, min_length=1, max_length=200, description="Who settled it; `api` where nobody says."
    )


class SettledDoubtOut(Out):
    """How a person settled the alert when it was in doubt."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    settled_as: SettleAs = Field(alias="as")
    by: str
    given_by: str | None = Field(
        description="Whom the request named, where its caller is known by an identity."
    )
    at: datetime
    note: str | None
    run_id: str = Field(description="The run that left it in doubt.")


class AlertOut(AlertFactsOut):
    """What has become of an alert over all runs."""

    run_id: str = Field(
        description="The run that it was sent by, or last evaluated by; of a bulk job's alert the job, while "
        "it is at work and where a digest stands for the alert."
    )
    status: DeliveryStatus
    reason: Reason | None
    error_message: str | None
    http_status: int | None = Field(description="Of the last answer.")
    claimed_at: datetime | None = Field(description="When it was last about to be posted.")
    sent_at: datetime | None
    updated_at: datetime
    settled: list[SettledDoubtOut] = Field(description="How people settled it, oldest first.")
    slack_channel: str | None = Field(description="The id of the channel, where a bot posted it.")
    slack_ts: str | None = Field(description="The timestamp that Slack knows it by there.")
    slack_updated_at: datetime | None = Field(
        description="When the message last showed what had become of the alert by then."
    )
    slack_update_error: Reason | None = Field(description="Why it could not, the last time it was to.")
    facts: OtherFacts = None


class SettledOut(Out):
    """The alerts of a run that were settled at once; only the command line does that."""

    settled: list[AlertOut]
