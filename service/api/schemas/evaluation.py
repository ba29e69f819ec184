"""What an evaluation found: its counts, its ledger, and what a person should look at."""

from datetime import date
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field

from service.account_risk.row_ledger import InvalidRow, known_reasons
from service.api.schemas.answer import Out, flattened
from service.domain.delivery_status import Outcome
from service.domain.lifecycle.run_changes import ChangeKind, RunChanges


class CountsOut(Out):
    """The numbers that a person asks for at nine in the morning."""

    rows_scanned: int
    duplicates: int
    alerts: int
    alerts_sent: int
    would_send: int = Field(description="Only in dry runs and previews.")
    skipped_replay: int = Field(description="Sent by an earlier run.")
    failed_deliveries: int = Field(description="Includes `unknown_region`.")
    unknown_region: int = Field(description="No channel is configured for them; retried by later runs.")
    unknown: int = Field(description="Slack may or may not have them; held for a person.")
    unsent: int = Field(description="Still pending when the run ended; they go out with the next run.")
    withdrawn: int = Field(
        description="Alerts of earlier runs over the same source that are alerts no more; not among `alerts`."
    )
    restated: int = Field(description="Of `skipped_replay`: sent with other facts than it has now.")
    in_digest: int = Field(default=0, description="Of logs: a digest stands for them.")


class LedgerOut(Out):
    """What became of every row and of every alert.

    `rows_in_source = outside_window + rows_scanned`;
    `rows_scanned = sum(invalid) + duplicates + account_months`;
    `at_risk = below_threshold + unknown_arr + alerts`; `alerts = sum(outcomes)`.
    """

    model_config = ConfigDict(alias_generator=flattened("rows"))

    rows_in_source: int
    outside_window: int
    rows_scanned: int
    invalid: Annotated[dict[InvalidRow, int], BeforeValidator(known_reasons)]
    duplicates: int
    account_months: int
    at_risk: int
    below_threshold: int
    unknown_arr: int
    alerts: int
    outcomes: dict[Outcome, int]


class LogRuleRowsOut(Out):
    """What became of the rows that one rule over logs matched.

    `matched = time_null + time_unparsable + time_out_of_range + outside_period + late + duplicates +
    counted`; `episodes = continued + alerts`.
    """

    matched: int
    time_null: int
    time_unparsable: int
    time_out_of_range: int
    outside_period: int
    late: int = Field(description="Older than the period, and not there when an earlier run read its own.")
    largest_lateness_s: float = Field(
        default=0.0, description="How much older than the period the oldest late row is, in seconds."
    )
    duplicates: int
    counted: int
    episodes: int
    continued: int = Field(description="Episodes that began in an earlier run.")
    alerts: int = Field(description="Episodes that began in this run.")


class LogLedgerOut(Out):
    """What became of every row of a log and of every alert.

    `rows_in_source = malformed + unmatched + matched`; `alerts` are those of all rules, with reminders that
    an episode lasts, and digests; `alerts = sum(outcomes)`.
    """

    model_config = ConfigDict(alias_generator=flattened("rows"))

    rows_in_source: int
    malformed: int
    unmatched: int
    matched: int
    rules: dict[str, LogRuleRowsOut]
    reminders: int
    digests: int
    alerts: int
    outcomes: dict[Outcome, int]


class OutboxLedgerOut(Out):
    """What became of every alert that a run outside the months sent: `alerts = sum(outcomes)`."""

    model_config = ConfigDict(alias_generator=flattened("rows"))

    alerts: int
    outcomes: dict[Outcome, int]


class WarningOut(Out):
    """Something a person should look at although the run went on."""

    code: str
    count: int
    detail: str


class InvalidSampleOut(Out):
    """One row that could not be used."""

    reason: InvalidRow
    file: str
    account_id: str | None
    month: str | None = Field(description="As it stands in the source.")


_DATE = len("2026-01-01")
"""What other kinds of runs have for a period is no month."""


class ChangeOut(Out):
    """What the run meant for one account, or for one group of a log rule, once, whatever was sent of it."""

    change: ChangeKind
    alert_id: str = Field(description="Of the alert that people work on: `/alerts/{id}`.")
    account_id: str = Field(
        validation_alias=AliasChoices("subject", "account_id"),
        description="Of a `log_rule` what the alert is about: stream, rule and group.",
    )
    account_name: str | None = Field(validation_alias=AliasChoices("name", "account_name"))
    account_region: str | None = Field(validation_alias=AliasChoices("route", "account_region"))
    arr: int | None = Field(description="As alerted; null: unknown.")


class RegionTotalOut(Out):
    """The accounts of a region that changed alike."""

    region: str | None = Field(validation_alias=AliasChoices("route", "region"))
    change: ChangeKind
    accounts: int = Field(validation_alias=AliasChoices("count", "accounts"))
    arr: int = Field(description="The sum of those that are known.")


class ChangesOut(Out):
    """What a run changed; a dry run changes nothing."""

    run_id: str
    month: date | None
    totals: list[RegionTotalOut] = Field(description="Over all accounts, by region.")
    changes: list[ChangeOut] = Field(
        description="By kind, then by ARR, highest first: at most `limit` of each kind."
    )

    @classmethod
    def first(cls, found: RunChanges, limit: int) -> "ChangesOut":
        """Return the totals, and the first `limit` accounts of each kind."""
        return cls(
            run_id=found.run_id,
            month=date.fromisoformat(found.period) if found.period and len(found.period) == _DATE else None,
            totals=[RegionTotalOut.of(one) for one in found.totals()],
            changes=[ChangeOut.of(one) for one in found.first(limit)],
        )
