"""`keys jwt`: the keys that access tokens are signed with."""

import sys
from pathlib import Path

from service.access.signing_keys import add_key
from service.cli.command import command, print_answer, report
from service.cli.exit_codes import OK, RUN_FAILED, USAGE
from service.settings import Settings
from service.telemetry.terminal import harmless


@command
def new_signing_key(settings: Settings, file: Path | None, *, as_json: bool) -> int:
    """Put a new signing key into a file, print its name, and return the exit code."""
    place = file or settings.jwt_keys_file
    if place is None:
        report("give --file PATH, or set JWT_KEYS_FILE")
        return USAGE
    try:
        kid, older = add_key(place)
    except OSError as problem:
        report(f"{place} cannot be written: {problem.strerror}")
        return RUN_FAILED
    also = f"; {older[0]} still verifies" if older else ""
    words = harmless(f"{place}: {kid} signs from now on{also}")
    answer = {"file": str(place), "signs": kid, "verify": [kid, *older]}
    print_answer(answer, lambda: sys.stdout.write(f"{words}\n"), as_json=as_json)
    return OK
