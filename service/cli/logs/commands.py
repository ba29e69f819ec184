"""The groups of commands `rules` and `logs`."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.declared import done_by

logs = typer.Typer(help="Event logs.", rich_markup_mode=None, no_args_is_help=True)
rules = typer.Typer(help="Rules over event logs.", rich_markup_mode=None, no_args_is_help=True)

Log = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="A log (CSV, also gzip or zstd, or Parquet): file, folder or glob, also URIs."
    ),
]
RulesFile = Annotated[Path, typer.Option("--rules", help="The file of rules.")]
Since = Annotated[str, typer.Option("--from", help="First instant, ISO 8601; without a zone UTC.")]
Until = Annotated[str, typer.Option(help="First instant after the period, ISO 8601.")]
Stream = Annotated[
    str | None, typer.Option(help="Whose runs follow each other; unset: the name of the file of rules.")
]
Answer = Annotated[bool, typer.Option("--json", help="Print the API's own answer instead of tables.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@logs.callback()
def logs_group() -> None:
    """Event logs."""


@logs.command()
@done_by("logs.planning:print_log_plan")
def plan(
    source: Log,
    rules: RulesFile = Path("log_rules.toml"),
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show what an evaluation of a log would read, and how much memory it would take at most.

    From listings, first records and footers alone; columns that are missing are named.
    """


@logs.command()
@done_by("logs.running:run_logs")
def run(
    source: Log,
    since: Since,
    until: Until,
    rules: RulesFile = Path("log_rules.toml"),
    stream: Stream = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Record the run, but send nothing.")] = False,  # noqa: FBT002  # how typer spells a flag
    plan_digest: Annotated[
        str | None, typer.Option(help="From preview: execute exactly that plan, or fail and send nothing.")
    ] = None,
    as_json: Answer = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Send the alerts of a period of a log.

    Begins with what the run of the stream left that ended where this one begins, and leaves the same for the
    next. What was sent is not sent again.
    """


@logs.command()
@done_by("logs.running:preview_logs")
def preview(
    source: Log,
    since: Since,
    until: Until,
    rules: RulesFile = Path("log_rules.toml"),
    stream: Stream = None,
    limit: Annotated[int, typer.Option(help="How many alerts to show.", min=0, max=10_000)] = 500,
    as_json: Answer = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show what a run of a period of a log would send.

    Nothing is sent, claimed or written.
    """


@rules.command("check")
@done_by("logs.rules:check_rules")
def check_rules(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of rules (TOML).")],
) -> None:
    """Check a file of rules and show what each rule does.

    Every problem is named with its place. Exit code 0: it can be used; 64: it cannot.
    """


@rules.command("test")
@done_by("logs.rules:print_rule_tests")
def test_rules(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Tests of rules (TOML), beside the rules.")],
) -> None:
    """Run the tests of rules: rows at offsets, and the episodes that they must give.

    Exit code 0: all pass; 1: some do not; 64: a file cannot be used.
    """


@rules.command()
@done_by("logs.backtest:backtest")
def backtest(
    source: Log,
    rules: RulesFile = Path("log_rules.toml"),
    since: Annotated[str | None, typer.Option("--from", help="First instant, ISO 8601; UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="First instant after the period, ISO 8601; UTC.")] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show what rules would have said of a log, also at half and twice their thresholds and windows.

    Episodes and messages a day, each as the rule stands (<-) and otherwise. Nothing is sent or written.
    """
