"""The command line: the same flows as the API, for people and for batch jobs.

Only what `--help` needs is imported at the top: each command imports its own part when it is called.
"""

import os
import sys
from typing import Annotated, Final

import typer

from service.cli.database_commands import db
from service.cli.declared import done_by
from service.cli.exit_codes import EXIT_CODES_HELP, NOBODY_READS, OK, RUN_FAILED, USAGE
from service.cli.identities.commands import audit, keys, users
from service.cli.lifecycle.commands import alerts
from service.cli.logs.commands import logs, rules
from service.cli.sampling import sample_data
from service.cli.scoring.commands import model, score
from service.domain.delivery_status import Outcome, SettleAs
from service.domain.progress import RunKindName, RunStatus
from service.runtime.garbage import ending
from service.telemetry.terminal import harmless

_PROGRAM: Final = "risk-alerts"

commands = typer.Typer(
    name=_PROGRAM,
    help="Alert customer-success teams in Slack to accounts that are At Risk, once per account and month.",
    epilog=EXIT_CODES_HELP,
    # Plain help is greppable, and a fifth of a second faster than the styled one.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_runs = typer.Typer(help="List the runs, or show one of them.", rich_markup_mode=None)
commands.add_typer(_runs, name="runs")
commands.add_typer(alerts, name="alerts")
_routes = typer.Typer(help="Check the routes to Slack.", rich_markup_mode=None)
commands.add_typer(_routes, name="routes")
commands.add_typer(db, name="db")
commands.add_typer(keys, name="keys")
commands.command()(audit)
commands.add_typer(rules, name="rules")
commands.add_typer(logs, name="logs")
commands.add_typer(users, name="users")
commands.add_typer(model, name="model")
commands.command()(score)
commands.command()(sample_data)

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="A Parquet file, folder or glob: a local path, file://, gs:// or s3://."
    ),
]
MonthText = Annotated[str, typer.Option("--month", help="YYYY-MM-01, 'current' or 'previous' (UTC).")]
Json = Annotated[bool, typer.Option("--json", help="Print the API's own answer instead of tables.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # how typer calls it
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  # cold start

        sys.stdout.write(f"{_PROGRAM} {version(_PROGRAM)}\n")
        raise typer.Exit


@commands.callback(help=commands.info.help)
def options(
    *,
    version: Annotated[  # its callback has printed it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@commands.command()
@done_by("serving:serve_api")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
) -> None:
    """Serve the HTTP API until SIGTERM or SIGINT.

    Deliveries then stop, requests in flight are answered, and the process exits.
    """


@commands.command()
@done_by("running:run_month")
def run(
    source: Source,
    month: MonthText,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Record the run, but send nothing.")] = False,  # noqa: FBT002  # how typer spells a flag
    plan_digest: Annotated[
        str | None, typer.Option(help="From preview: execute exactly that plan, or fail and send nothing.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Send a month's alerts.

    Evaluates the source, sends every alert that has not been sent yet, and reports the outcome of each.
    """


@commands.command()
@done_by("previewing:preview_month")
def preview(
    source: Source,
    month: MonthText,
    limit: Annotated[int, typer.Option(help="How many alerts to show.", min=0, max=10_000)] = 500,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show what a run would send.

    Nothing is sent, claimed or written.
    """


@commands.command()
@done_by("planning:print_plan")
def plan(
    source: Source,
    month: MonthText,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show what an evaluation would read, from the file footers alone.

    Files, row groups read and skipped (and why), columns, compressed bytes, and an upper bound of the memory.
    """


@_runs.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many to show.", min=1, max=500)] = 20,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the previous page.")] = None,
    month: Annotated[str | None, typer.Option(help="Only runs of this month.")] = None,
    status: Annotated[RunStatus | None, typer.Option(help="Only runs with this status.")] = None,
    kind: Annotated[RunKindName | None, typer.Option(help="Only runs of this kind.")] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """List the runs, or show one of them."""
    if context.invoked_subcommand is not None:
        return
    from service.cli.listing import list_runs  # noqa: PLC0415  # cold start

    raise typer.Exit(
        list_runs(limit=limit, cursor=cursor, month=month, status=status, kind=kind, as_json=as_json)
    )


@_runs.command()
@done_by("listing:show_run")
def show(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id.")],
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show a run."""


@_runs.command()
@done_by("listing:show_changes")
def changes(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id.")],
    limit: Annotated[int, typer.Option(help="How many alerts of each kind.", min=1, max=1_000_000)] = 1_000,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show what a run changed: new, reopened, continuing, recovered and withdrawn alerts."""


@_runs.command(name="alerts")
def run_alerts(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id.")],
    outcome: Annotated[Outcome | None, typer.Option(help="Only alerts with this outcome.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write all of them as CSV.")] = False,  # noqa: FBT002  # how typer spells a flag
    limit: Annotated[int, typer.Option(help="How many to show.", min=1, max=1_000)] = 100,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the previous page.")] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """List the alerts of a run and what became of each, in the order of sending.

    In CSV a text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    if csv and as_json:
        raise typer.BadParameter("give either --csv or --json")
    from service.cli.listing import list_alerts, write_alerts  # noqa: PLC0415  # cold start

    if csv:
        raise typer.Exit(write_alerts(run_id, outcome=outcome))
    raise typer.Exit(list_alerts(run_id, outcome=outcome, limit=limit, cursor=cursor, as_json=as_json))


@_routes.callback()
def routes() -> None:
    """Check the routes to Slack."""


@_routes.command()
@done_by("routes:print_route_check")
def check(
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show which webhooks are live; nothing is posted that a person sees.

    Every channel's webhook is sent a body that is no JSON: a live one answers `invalid_payload`, a dead one
    403, 404 or 410. Exit code 0: all are live; 2: some are not.
    """


@commands.command()
@done_by("interventions:cancel_run")
def cancel(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id.")],
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Cancel a run, in whichever process it is running.

    Undelivered alerts stay in the outbox for the next run of the period.
    """


@commands.command()
def settle(
    settle_as: Annotated[
        SettleAs,
        typer.Option(
            "--as", help="sent: Slack has it; resend: the next run of its month or period sends it."
        ),
    ],
    alert_id: Annotated[
        str | None, typer.Argument(metavar="[ALERT_ID]", help="The alert's id, as a run lists it.")
    ] = None,
    run_id: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN_ID", help="All alerts that this run reports as in doubt."),
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why; kept with the alert.")] = None,
    by: Annotated[str | None, typer.Option(help="Who settles it; by default your user name.")] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Record whether Slack has an alert that is in doubt.

    Settles one alert by its id, or all of a run (--run). Nothing is posted; who did it, and when, is kept.
    """
    if (alert_id is None) == (run_id is None):
        raise typer.BadParameter("give either ALERT_ID or --run RUN_ID")
    from service.cli.interventions import settle_doubts  # noqa: PLC0415  # cold start

    raise typer.Exit(
        settle_doubts(settle_as, alert_id=alert_id, run_id=run_id, note=note, by=by, as_json=as_json)
    )


@commands.command()
@done_by("interventions:reconcile_doubts")
def reconcile(
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Look for the alerts in doubt where the bot would have posted them, and settle those that can be.

    What `risk-alerts serve` does once a minute. Exit code 0: nothing is left in doubt; 2: something is.
    """


def run_command() -> None:
    """Run the command that this process was called with, and exit with one of the documented codes."""
    try:
        code = commands(prog_name=_PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as problem:
        sys.stderr.write(f"{_PROGRAM}: {harmless(problem.format_message())}\nTry '{_PROGRAM} --help'.\n")
        sys.exit(USAGE)
    except BrokenPipeError:
        # Nobody reads any more, such as `head`; what is still to be flushed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NOBODY_READS)
    except typer.Abort:
        sys.exit(RUN_FAILED)
    finally:
        ending()
    sys.exit(code if isinstance(code, int) else OK)
