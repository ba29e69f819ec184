"""`db copy` and `db prune`: a ledger moves to another database, or loses what is too old."""

import os
import sys
from collections.abc import Mapping
from typing import Final

import typer

from service.cli.command import print_json, with_flow
from service.cli.exit_codes import OK
from service.runs.sweep import prune
from service.settings import Settings
from service.store.schema.copying import copy_ledger
from service.wiring import open_app

_ENV: Final = "env:"


def copy_database(source: str, target: str) -> int:
    """Copy a ledger, print the number of rows of each table, and return the exit code.

    Raises typer.BadParameter for a variable that is not set.
    """
    source_url, target_url = _url(source), _url(target)

    async def flow(_: Settings) -> int:
        _print_counts(await copy_ledger(source_url, target_url), "copied and compared")
        return OK

    return with_flow(flow, as_json=False)


def prune_database(*, as_json: bool) -> int:
    """Delete what is too old, print the number of rows of each table, and return the exit code."""

    async def flow(settings: Settings) -> int:
        async with open_app(settings) as app:
            removed = await prune(app)
        if as_json:
            print_json({"removed": removed})
        else:
            _print_counts(removed, "deleted")
        return OK

    return with_flow(flow, as_json=as_json)


def _print_counts(counts: Mapping[str, int], done: str) -> None:
    for table, count in counts.items():
        sys.stdout.write(f"{table:<20}{count:>12,}\n")
    sys.stdout.write(f"{done:<20}{sum(counts.values()):>12,}\n")


def _url(argument: str) -> str:
    """Return the URL; arguments stand in the list of processes, and the environment does not."""
    if not argument.startswith(_ENV):
        return argument
    name = argument.removeprefix(_ENV)
    if not (url := os.environ.get(name)):
        raise typer.BadParameter(f"the environment variable {name} is not set")
    return url
