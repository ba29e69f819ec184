"""The exit codes, for schedulers; each error class says its own."""

from typing import Final

from service.domain.errors import NOT_THERE_YET, RiskAlertsError, UsageError

OK: Final = 0
RUN_FAILED: Final = RiskAlertsError.exit_code
NOT_ALL_SENT: Final = 2
USAGE: Final = UsageError.exit_code
"""The usual 2 would be taken for `NOT_ALL_SENT`."""
NOBODY_READS: Final = 128 + 13
"""As a shell shows a program that SIGPIPE ended: whoever read the output, such as `head`, has gone."""

EXIT_CODES_HELP: Final = (
    "Exit codes: 0 success; 1 the run failed (stderr names the error code); 2 the run succeeded, but some "
    "alerts were not delivered (failed, in doubt, or unsent); "
    f"{NOT_THERE_YET} the data is not there yet (source_not_found, month_not_in_source, "
    "period_not_in_source): try again later; "
    "64 the command or the settings are wrong."
)
