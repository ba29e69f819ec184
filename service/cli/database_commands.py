"""`db`: its commands and their options."""

from typing import Annotated

import typer

from service.cli.declared import done_by

db = typer.Typer(help="Maintain the database.", rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@db.command()
@done_by("database:upgrade_schema")
def upgrade(
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Bring the database's schema up to this version, and keep what is in it.

    `serve`, `run` and every other command that writes do the same by themselves; those that only read refuse
    an older schema.
    """


@db.command()
@done_by("database:copy_database")
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The database that holds the ledger.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="An empty database.")],
) -> None:
    """Copy a ledger to another database and compare them row by row.

    FROM and TO are URLs as in DATABASE_URL (SQLite or PostgreSQL), or env:NAME to read the URL from the
    environment variable NAME: everybody on the machine can read arguments, and the passwords in them. Either
    everything is copied or nothing. No run may be running.
    """


@db.command()
@done_by("database:prune_database")
def prune(
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Delete runs and attempts older than KEEP_RUNS_DAYS and print how many rows of each table they were.

    What replays need stays: every alert's outcome, how doubts were settled, and each run that sent an alert
    or still has to. `serve` does the same every six hours. A SQLite file keeps its size.
    """
