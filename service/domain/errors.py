"""Every way this service can say no, as one family.

Each class carries a stable `code` that a person can search for and a machine can branch on. Nothing here
knows HTTP: the API door maps codes to status codes, the command line maps them to exit codes.
"""

from typing import ClassVar


class RiskAlertsError(Exception):
    """Base of all errors that a caller is meant to read; `detail` is one sentence for a person."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.run_id: str | None = None
        """The failed run that was recorded, where there is one; set by the run flow."""


# What was asked for cannot be run at all: no run is recorded.


class BadMonthError(RiskAlertsError):
    """The month is not spelled `YYYY-MM-01`, `current` or `previous`."""

    code = "bad_month"


class BadSourceUriError(RiskAlertsError):
    """The source URI has an unsupported scheme, is relative, or carries credentials."""

    code = "bad_source_uri"


class SourceNotAllowedError(RiskAlertsError):
    """The source lies outside `ALLOWED_SOURCES`."""

    code = "source_not_allowed"


class SlackNotConfiguredError(RiskAlertsError):
    """A real run needs a webhook and none is configured."""

    code = "slack_not_configured"


class RoutingNotConfiguredError(RiskAlertsError):
    """The map from region to channel is empty, so that no alert could reach anyone."""

    code = "routing_not_configured"


class DatabaseNotDurableError(RiskAlertsError):
    """The database would die with its container, and the next run would send everything again."""

    code = "database_not_durable"


class IdempotencyKeyReusedError(RiskAlertsError):
    """The `Idempotency-Key` was used for another request within a day."""

    code = "idempotency_key_reused"


class TooManyRunsError(RiskAlertsError):
    """This process has as many runs, or previews, under way as `MAX_CONCURRENT_RUNS` allows."""

    code = "too_many_runs"


class RunNotFoundError(RiskAlertsError):
    """No run has this id."""

    code = "run_not_found"


class RunFinishedError(RiskAlertsError):
    """The run has finished, so that there is nothing to cancel."""

    code = "run_finished"


class AlertNotFoundError(RiskAlertsError):
    """No alert has this id."""

    code = "alert_not_found"


class NotInDoubtError(RiskAlertsError):
    """There is nothing to settle: what has become of the alert is known; the detail says what."""

    code = "not_in_doubt"


class BadCursorError(RiskAlertsError):
    """The cursor was not made by this service for this list."""

    code = "bad_cursor"


# The source could not be used: the run is recorded as failed.


class SourceError(RiskAlertsError):
    """Base of all errors in which the source could not be used."""


class SourceNotFoundError(SourceError):
    """There is no Parquet file at the URI."""

    code = "source_not_found"


class SourceNotParquetError(SourceError):
    """A file is empty, truncated, or not Parquet at all."""

    code = "source_not_parquet"


class SchemaMismatchError(SourceError):
    """Columns are missing or of another type; the detail names all of them, expected and found."""

    code = "schema_mismatch"


class MonthNotInSourceError(SourceError):
    """The source has no row of the target month; the detail names the first and last month it has."""

    code = "month_not_in_source"


class SourceChangedError(SourceError):
    """A file was replaced or removed while the source was being read."""

    code = "source_changed"


class StorageUnreachableError(SourceError):
    """The storage did not answer in time, or could not be connected to."""

    code = "storage_unreachable"


class StorageAccessRefusedError(SourceError):
    """The storage answered that these credentials may not read the source."""

    code = "storage_access_refused"


class MemoryLimitExceededError(SourceError):
    """The scan would need more memory than `MEMORY_LIMIT_MB`; the detail names what it needs."""

    code = "memory_limit_exceeded"


# The run is recorded as failed, too, for what it found.


class PlanChangedError(RiskAlertsError):
    """The caller wanted just the plan that was previewed, and this run's is another: nothing was sent."""

    code = "plan_changed"


# The service itself.


class DatabaseUnusableError(RiskAlertsError):
    """The database cannot be opened, read or written."""

    code = "database_unusable"


class DatabaseSchemaNewerError(DatabaseUnusableError):
    """The database was migrated by a newer version of this service, which this one must not write to."""

    code = "database_schema_newer"


class LedgerImbalanceError(RiskAlertsError):
    """The counts of a run do not add up: a bug here, so the run fails loudly instead of reporting them."""

    code = "ledger_imbalance"


class InterruptedRunError(RiskAlertsError):
    """The run was stopped, or its process died, before it could finish."""

    code = "interrupted"


class OvertakenError(InterruptedRunError):
    """The lease expired and somebody else took the month or the run over; this one must write no more."""

    code = "interrupted"


class CancelledRunError(RiskAlertsError):
    """Somebody asked that nothing more of this run leaves."""

    code = "cancelled"
