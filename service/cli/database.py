"""`db upgrade`, `db copy` and `db prune`: the schema, the move elsewhere, and the end of what is too old."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Final

import typer

from service.cli.command import async_command, operator, print_answer, print_json, report
from service.cli.exit_codes import RUN_FAILED
from service.settings import Settings
from service.store.schema.roles import role_sql
from service.store.schema.tables import NEWEST_REVISION
from service.store.schema.upgrade import upgrade_database
from service.telemetry.terminal import harmless

_ENV: Final = "env:"


@async_command
async def upgrade_schema(settings: Settings, *, as_json: bool) -> None:
    """Upgrade the schema and print what was done."""
    before = await upgrade_database(settings.ledger_url())
    if as_json:
        answer = {"database": settings.database_shown(), "before": before, "after": NEWEST_REVISION}
        print_json(answer)
    else:
        done = {None: "created", NEWEST_REVISION: "up to date"}.get(before, f"upgraded from {before}")
        sys.stdout.write(f"{harmless(settings.database_shown())}: schema {NEWEST_REVISION}, {done}\n")
        if settings.sqlite_path() is None:
            sys.stdout.write("\n-- For the role that serves, which is not the owner:\n")
            sys.stdout.writelines(f"{statement}\n" for statement in role_sql())


def copy_database(source: str, target: str) -> int:
    """Copy a ledger, print the number of rows of each table, and return the exit code.

    Raises typer.BadParameter for a variable that is not set.
    """
    from service.store.schema.copying import copy_ledger  # noqa: PLC0415  # each command loads its own part

    source_url, target_url = _url(source), _url(target)

    @async_command
    async def copy(_: Settings) -> None:
        on_event_loop = not source_url.startswith("sqlite") or not target_url.startswith("sqlite")
        with nullcontext() if on_event_loop else _stopped_at_once():
            counts = await copy_ledger(source_url, target_url)
        _print_counts(counts, "copied and compared")

    try:
        return copy()
    except KeyboardInterrupt:
        report("stopped: nothing was copied")
        return RUN_FAILED


@contextmanager
def _stopped_at_once() -> Iterator[None]:
    """Let the first Ctrl-C interrupt work that never returns to the event loop, which would wait for it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@async_command
async def prune_database(settings: Settings, *, as_json: bool) -> None:
    """Delete what is too old and print the number of rows of each table."""
    from service.runs.sweep import prune  # noqa: PLC0415  # as above
    from service.wiring import open_app  # noqa: PLC0415

    async with open_app(settings, operator=operator()) as app:
        removed = await prune(app)
    print_answer({"removed": removed}, lambda: _print_counts(removed, "deleted"), as_json=as_json)


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
