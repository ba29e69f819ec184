"""`db copy`: a ledger moves to another database."""

import os
import sys
from typing import Final

import typer

from service.cli.command import with_flow
from service.cli.exit_codes import OK
from service.settings import Settings
from service.store.schema.copying import copy_ledger

_ENV: Final = "env:"


def copy_database(source: str, target: str) -> int:
    """Copy a ledger, print the number of rows of each table, and return the exit code.

    Raises typer.BadParameter for a variable that is not set.
    """
    source_url, target_url = _url(source), _url(target)

    async def flow(_: Settings) -> int:
        counts = await copy_ledger(source_url, target_url)
        for table, count in counts.items():
            sys.stdout.write(f"{table:<20}{count:>12,}\n")
        sys.stdout.write(f"{'copied and compared':<20}{sum(counts.values()):>12,}\n")
        return OK

    return with_flow(flow, as_json=False)


def _url(argument: str) -> str:
    """Return the URL; arguments stand in the list of processes, and the environment does not."""
    if not argument.startswith(_ENV):
        return argument
    name = argument.removeprefix(_ENV)
    if not (url := os.environ.get(name)):
        raise typer.BadParameter(f"the environment variable {name} is not set")
    return url
