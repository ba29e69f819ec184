"""The command `sample-data`; each kind of sample imports its own part when it is asked for."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SampleKind(StrEnum):
    """What a sample file holds."""

    ACCOUNTS = "accounts"
    LOGS = "logs"
    COMPANIES = "companies"
    DEFAULTS = "defaults"


def sample_data(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write.")],
    kind: Annotated[
        SampleKind,
        typer.Option(
            help="accounts: months (Parquet); logs: a day of events; companies: ratios (CSV); "
            "defaults: the same with what came of them."
        ),
    ] = SampleKind.ACCOUNTS,
    accounts: Annotated[int, typer.Option(help="How many accounts.", min=1, max=1_000_000)] = 400,
    months: Annotated[int, typer.Option(help="Months of history.", min=1, max=240)] = 14,
    month: Annotated[
        str, typer.Option(help="The last month: YYYY-MM-01, 'current' or 'previous'.")
    ] = "previous",
    companies: Annotated[int, typer.Option(help="How many companies.", min=1, max=10_000_000)] = 200,
    rows: Annotated[int, typer.Option(help="How many events of a log.", min=1, max=1_000_000_000)] = 100_000,
    day: Annotated[str, typer.Option(help="The day of a log, YYYY-MM-DD (UTC).")] = "2026-01-01",
    seed: Annotated[int, typer.Option(help="The same seed writes the same file.", min=0)] = 1,
) -> None:
    """Write a sample file.

    Accounts have the irregularities of real data: duplicates, gaps, unknown regions and amounts, unusual
    names. A log is CSV (.csv, .csv.gz, .csv.zst) or Parquet, as PATH ends, with a burst over each midnight.
    """
    if kind is SampleKind.LOGS:
        from service.cli.logs.sampling import write_sample_day  # noqa: PLC0415  # cold start

        raise typer.Exit(write_sample_day(path, rows=rows, day=day, seed=seed))
    if kind in {SampleKind.COMPANIES, SampleKind.DEFAULTS}:
        from service.cli.scoring.sampling import write_sample_companies  # noqa: PLC0415  # cold start

        raise typer.Exit(
            write_sample_companies(
                path, companies=companies, seed=seed, with_fate=kind is SampleKind.DEFAULTS
            )
        )
    from service.cli.sample_data import write_sample  # noqa: PLC0415  # cold start

    raise typer.Exit(write_sample(path, accounts=accounts, months=months, month=month, seed=seed))
