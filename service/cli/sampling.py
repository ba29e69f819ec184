"""`sample-data`: a file to try the service with."""

import sys
from pathlib import Path
from typing import Final

from service.cli.command import report
from service.cli.exit_codes import OK, RUN_FAILED, USAGE
from service.cli.sample_data import write_sample_data
from service.domain.errors import BadMonthError
from service.domain.month import Month
from service.runtime.clock import SystemClock
from service.telemetry.terminal import harmless

FIRST_MONTH: Final = Month(12)
"""January of the year 1: no date is older."""


def write_sample(path: Path, *, accounts: int, months: int, month: str, seed: int) -> int:
    """Write the file and return the exit code."""
    try:
        last_month = Month.resolve(month, today=SystemClock().now().date())
    except BadMonthError as problem:
        report(f"{problem.code}: {problem.detail}")
        return USAGE
    if last_month.minus(months - 1) < FIRST_MONTH:
        report("--months reaches back before the year 1")
        return USAGE
    try:
        rows = write_sample_data(path, accounts=accounts, months=months, last_month=last_month, seed=seed)
    except OSError as problem:
        report(f"{path} cannot be written: {problem.strerror or problem}")
        return RUN_FAILED
    span = f"{last_month.minus(months - 1)} to {last_month}"
    sys.stdout.write(f"{harmless(str(path))}: {rows:,} rows, {accounts:,} accounts, {span}\n")
    return OK
