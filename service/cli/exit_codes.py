"""The exit codes: what a scheduler learns without reading."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

OK: Final = 0
RUN_FAILED: Final = 1
NOT_ALL_SENT: Final = 2
USAGE: Final = 64
"""EX_USAGE of sysexits.h; the usual 2 would be taken for `NOT_ALL_SENT`."""

EXIT_CODES_HELP: Final = (
    "Exit codes: 0 everything was done; 1 the run failed (stderr names the error's code); 2 the run "
    "succeeded, but some alerts did not go out (failed, in doubt, or unsent); 64 the command or the "
    "settings are wrong."
)

_BY_ERROR: Final[Mapping[str, int]] = MappingProxyType(
    dict.fromkeys(
        (
            "bad_month",
            "bad_source_uri",
            "bad_cursor",
            "invalid_request",
            "slack_not_configured",
            "routing_not_configured",
            "database_not_durable",
        ),
        USAGE,
    )
)


def exit_code_of(error_code: str) -> int:
    """Return the exit code for an error: 64 where the command or the settings are wrong, 1 otherwise."""
    return _BY_ERROR.get(error_code, RUN_FAILED)
