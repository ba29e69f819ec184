"""Every way this service can say no, as one family: the one table of error codes.

Each class says its stable `code`, what kind of error it is, and what a door answers for it: the status of the
HTTP API and the exit code of the command line. Both are plain integers, so that the doors, the documentation
and the store read one table, and nothing here imports HTTP.
"""

from enum import StrEnum
from typing import ClassVar, Final, TypedDict, Unpack

NOT_THERE_YET: Final = 3
"""The exit code where the data may yet arrive: a scheduler may try such a run again by itself."""


class Kind(StrEnum):
    """What an error is about, and so whether a run was recorded for it."""

    REFUSED = "refused"
    """Nothing was begun: no run is recorded."""
    SOURCE = "source"
    """The source could not be used: the run is recorded as failed."""
    RUN = "run"
    """The run is recorded as failed for what it found or met."""
    SERVICE = "service"
    """The fault is on this side: the run is recorded as failed if it could be."""


class Row(TypedDict, total=False):
    """What a class says of itself in its head; the rest it takes from its base."""

    code: str
    kind: Kind
    http_status: int
    exit_code: int
    retry_after_s: int


class RiskAlertsError(Exception):
    """Base of all errors that a caller is meant to read; `detail` is one sentence for a person.

    A class that is no base has a `code` and an `example` of its own.
    """

    code: ClassVar[str] = "internal_error"
    kind: ClassVar[Kind] = Kind.SERVICE
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retry_after_s: ClassVar[int | None] = None
    """When it is worth while to ask again, where that is known."""
    example: ClassVar[str] = "something unexpected went wrong; the service's log says what"
    """A detail, for the documentation."""

    def __init_subclass__(cls, **row: Unpack[Row]) -> None:
        super().__init_subclass__()
        for name, value in row.items():
            setattr(cls, name, value)

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.run_id: str | None = None
        """The failed run that was recorded, where there is one; set by the run flow."""

    @classmethod
    def frees_key(cls) -> bool:
        """Whether a run that failed so, before its alerts were recorded, leaves its idempotency key free."""
        on_this_side = cls.http_status >= 500  # noqa: PLR2004  # as HTTP divides them
        return on_this_side and cls.kind is not Kind.REFUSED


def errors_by_code() -> dict[str, type[RiskAlertsError]]:
    """Return the table: the class that declares each code, as far as its module has been imported."""
    table: dict[str, type[RiskAlertsError]] = {}
    families = [RiskAlertsError]
    for family in families:
        table.setdefault(family.code, family)
        families += family.__subclasses__()
    return table


# What was asked for cannot be done at all.


class RefusedError(RiskAlertsError, kind=Kind.REFUSED, http_status=422):
    """Base of the errors that come before anything was begun."""


class UsageError(RefusedError, exit_code=64):
    """Base of the errors that the caller's words or the settings make; 64 is EX_USAGE of sysexits.h."""


class BadMonthError(UsageError, code="bad_month"):
    """The month is not spelled `YYYY-MM-01`, `current` or `previous`."""

    example = "month must be YYYY-MM-01, 'current' or 'previous', not '2026-1-1'"


class BadRulesError(UsageError, code="bad_rules"):
    """The file of rules cannot be used; the detail names every problem with its place."""

    example = "log_rules.toml: rules.0.window: must be longer than 0"


class BadPeriodError(UsageError, code="bad_period"):
    """The period does not begin and end at whole seconds, or ends before it begins."""

    example = "from must come before until"


class RulesNotFoundError(UsageError, code="rules_not_found", http_status=404):
    """There is no such file in the folder of rules, or no such folder."""

    example = "there is no mobile.toml in RULES_FOLDER"


class BadSourceUriError(UsageError, code="bad_source_uri"):
    """The source URI has an unsupported scheme, is relative, or carries credentials."""

    example = "the scheme ftp:// is not supported; use file://, gs:// or s3://"


class BadCursorError(UsageError, code="bad_cursor"):
    """The cursor was not made by this service for this list."""

    example = "the cursor was not made for this list"


class SlackNotConfiguredError(UsageError, code="slack_not_configured", http_status=503):
    """A real run needs a webhook and none is configured."""

    example = "set SLACK_WEBHOOK_BASE_URL or SLACK_WEBHOOK_URL to send alerts"


class RoutingNotConfiguredError(UsageError, code="routing_not_configured", http_status=503):
    """The map from region to channel is empty, so that no alert could reach anyone."""

    example = "the map from region to channel is empty: set REGION_CHANNELS"


class DatabaseNotDurableError(UsageError, code="database_not_durable", http_status=503):
    """The database would die with its container, and the next run would send everything again."""

    example = "the SQLite database dies with this container: set DATABASE_URL to PostgreSQL"


class TwoLedgersError(UsageError, code="two_ledgers", http_status=503):
    """`DATABASE_URL` is unset, and both the user and the working folder have a ledger."""

    example = "DATABASE_URL is not set, and there are two ledgers: set it to one of them"


class SourceNotAllowedError(RefusedError, code="source_not_allowed", http_status=403):
    """The source lies outside `ALLOWED_SOURCES`."""

    example = "the source lies outside ALLOWED_SOURCES"


class IdempotencyKeyReusedError(RefusedError, code="idempotency_key_reused"):
    """The `Idempotency-Key` was used for another request within a day."""

    example = "this Idempotency-Key was used for another request within a day"


class TooManyRunsError(RefusedError, code="too_many_runs", http_status=429, retry_after_s=5):
    """This process has as many runs, or previews, under way as `MAX_CONCURRENT_RUNS` allows."""

    example = "8 runs are under way, as many as MAX_CONCURRENT_RUNS allows"


class RunNotFoundError(RefusedError, code="run_not_found", http_status=404):
    """No run has this id."""

    example = "no run has the id '20260201T060000Z-7d3f9a'"


class RunFinishedError(RefusedError, code="run_finished", http_status=409):
    """The run has finished, so that there is nothing to cancel."""

    example = "run 20260201T060000Z-7d3f9a has finished: it succeeded"


class AlertNotFoundError(RefusedError, code="alert_not_found", http_status=404):
    """No alert has this id."""

    example = "no alert has the id '5f0c6b8e7a3d4c1f9b2e6d8a7c5b4e31'"


class NotInDoubtError(RefusedError, code="not_in_doubt", http_status=409):
    """There is nothing to settle: what has become of the alert is known; the detail says what."""

    example = "the alert is not in doubt: it is failed"


# The source could not be used.


class SourceError(RiskAlertsError, kind=Kind.SOURCE, http_status=422):
    """Base of all errors in which the source could not be used."""


class SourceNotFoundError(SourceError, code="source_not_found", http_status=404, exit_code=NOT_THERE_YET):
    """There is no Parquet file at the URI."""

    example = "there is no Parquet file at file:///data/monthly_account_status.parquet"


class SourceTooManyFilesError(SourceError, code="source_too_many_files"):
    """The source has more files, folders or levels of them than a listing goes through."""

    example = "file:///data/ has more than 100,000 files and folders; name a narrower folder or glob"


class SourceNotParquetError(SourceError, code="source_not_parquet"):
    """A file is empty, truncated, or not Parquet at all."""

    example = "monthly_account_status.parquet is truncated"


class UnsupportedTableFormatError(SourceError, code="unsupported_table_format"):
    """The folder is a Delta Lake, Iceberg or Hudi table: its files also hold rows that it has no more."""

    example = "s3://lake/accounts is a table of Delta Lake (it has _delta_log/)"


class SchemaMismatchError(SourceError, code="schema_mismatch"):
    """Columns are missing or of another type; the detail names all of them, expected and found."""

    example = "arr: expected int64, found string; updated_at: missing"


class MonthNotInSourceError(SourceError, code="month_not_in_source", exit_code=NOT_THERE_YET):
    """The source has no row of the target month; the detail names the first and last month it has."""

    example = "the source has no row of 2026-01-01; its months are 2024-01-01 to 2025-12-01"


class LogUnreadableError(SourceError, code="log_unreadable"):
    """A file is neither CSV nor Parquet, or it is damaged."""

    example = "2026-01-31.csv.gz cannot be read: Truncated compressed stream"


class PeriodNotInSourceError(SourceError, code="period_not_in_source", exit_code=NOT_THERE_YET):
    """The log has no row of the period; the detail names the first and last instant that it has."""

    example = "no row of the period that begins at 2026-02-01T00:00:00Z: the source has rows from …"


class SourceChangedError(SourceError, code="source_changed", http_status=409):
    """A file was replaced or removed while the source was being read."""

    example = "monthly_account_status.parquet was replaced while it was being read"


class StorageUnreachableError(SourceError, code="storage_unreachable", http_status=502):
    """The storage did not answer in time, or could not be connected to."""

    example = "the storage did not answer within 15 s"


class ClusterUnreachableError(SourceError, code="cluster_unreachable", http_status=502):
    """The Dask cluster that is to evaluate does not answer, or has no workers."""

    example = "no Dask scheduler answers at tcp://scheduler:8786"


class StorageAccessRefusedError(SourceError, code="storage_access_refused", http_status=502):
    """The storage answered that these credentials may not read the source."""

    example = "these credentials may not read gs://bucket/monthly_account_status.parquet"


class MemoryLimitExceededError(SourceError, code="memory_limit_exceeded"):
    """The scan would need more memory than `MEMORY_LIMIT_MB`; the detail names what it needs."""

    example = "the scan needs 700 MB, more than MEMORY_LIMIT_MB allows"


class CheckpointTooLargeError(SourceError, code="checkpoint_too_large"):
    """What the next run would begin with is larger than `CHECKPOINT_LIMIT_MB`."""

    example = "what the next run would begin with takes 90 MB, more than CHECKPOINT_LIMIT_MB=64"


# The run failed for what it found or met.


class FailedRunError(RiskAlertsError, kind=Kind.RUN, http_status=409):
    """Base of the errors that a run meets after it has begun, beside those of its source."""


class PlanChangedError(FailedRunError, code="plan_changed"):
    """The caller wanted exactly the plan that was previewed, and this run's is another: nothing was sent."""

    example = f"nothing was sent: the plan has changed, and its digest is now {'0047e1a3' * 8}"


class CancelledRunError(FailedRunError, code="cancelled"):
    """Somebody cancelled the run."""

    example = "run 20260201T060000Z-7d3f9a was cancelled: what had not left by then stays in the outbox"


class InterruptedRunError(FailedRunError, code="interrupted", http_status=503):
    """The run was stopped, or its process died, before it could finish."""

    example = "the service was stopped before the run could finish"


class OvertakenError(InterruptedRunError):
    """The lease expired and somebody else took the month or the run over; this one must write no more."""


class LedgerImbalanceError(FailedRunError, code="ledger_imbalance", http_status=500):
    """The counts of a run do not add up: a bug here, so the run fails loudly instead of reporting them."""

    example = "alerts is 42, but its parts (41,) add up to 41"


# The service itself.


class DatabaseUnusableError(RiskAlertsError, code="database_unusable", http_status=503):
    """The database cannot be opened, read or written."""

    example = "the database cannot be opened"


class DatabaseSchemaNewerError(DatabaseUnusableError, code="database_schema_newer"):
    """The database was migrated by a newer version of this service, which this one must not write to."""

    example = "the database was migrated by a newer version of this service"


class DatabaseOutdatedError(DatabaseUnusableError, code="database_outdated", kind=Kind.REFUSED):
    """The database has the schema of an older version, and a command that only reads does not upgrade it."""

    example = "the database's schema is version 0003: run `risk-alerts db upgrade`"
