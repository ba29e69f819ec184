"""`sample-data --kind logs`: a day of events to try rules with."""

import sys
from datetime import date
from pathlib import Path

from service.cli.command import report
from service.cli.exit_codes import OK, RUN_FAILED, USAGE
from service.cli.logs.sample_log import write_sample_log
from service.telemetry.terminal import harmless


def write_sample_day(path: Path, *, rows: int, day: str, seed: int) -> int:
    """Write the file and return the exit code."""
    try:
        on = date.fromisoformat(day)
    except ValueError:
        report(f"--day must be YYYY-MM-DD, not {day!r}")
        return USAGE
    try:
        written = write_sample_log(path, rows=rows, day=on, seed=seed)
    except OSError as problem:
        report(f"{path} cannot be written: {problem.strerror or problem}")
        return RUN_FAILED
    sys.stdout.write(f"{harmless(str(path))}: {written:,} rows of {on}\n")
    return OK
