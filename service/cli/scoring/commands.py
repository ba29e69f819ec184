"""The group of commands `model`, and `score`; each command imports its own part when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from service.default_risk.units import Units
from service.domain.default_risk.prediction import PredictionKind

model = typer.Typer(help="Models of default risk.", rich_markup_mode=None, no_args_is_help=True)

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="Ratios and a column of 0 and 1, as CSV or Parquet.")
]
ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")]
Label = Annotated[str, typer.Option(help="The column that is 1 where the company defaulted, else 0.")]
Out = Annotated[Path, typer.Option("--out", help="The model file to write.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@model.callback()
def model_group() -> None:
    """Models of default risk."""


@model.command()
def train(
    data: Data,
    kind: Annotated[PredictionKind, typer.Option(help="Which ratios it reads.")],
    name: Annotated[str, typer.Option(help="What the model is called.")],
    out: Out,
    label: Label = "bankrupt",
    company: Annotated[str | None, typer.Option(help="The column that names the company.")] = None,
    time: Annotated[
        str | None, typer.Option(help="The column that dates the row; text that sorts, such as 2025-12-31.")
    ] = None,
    describe: Annotated[
        Path | None,
        typer.Option(help="TOML: horizon, title, citation, licence, intended_use, limits: for the card."),
    ] = None,
) -> None:
    """Train a model, and measure it on companies that it has not seen.

    Needs the extra `train`. The same file gives the same bytes. Exit code 64: the data cannot be used.
    """
    from service.cli.scoring.models import train_model  # noqa: PLC0415  # cold start

    raise typer.Exit(
        train_model(
            data, kind=kind, name=name, out=out, label=label, company=company, time=time, describe=describe
        )
    )


@model.command()
def evaluate(
    file: ModelFile,
    data: Data,
    label: Label = "bankrupt",
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Measure a model on companies whose fate is known."""
    from service.cli.scoring.models import evaluate_model  # noqa: PLC0415  # cold start

    raise typer.Exit(evaluate_model(file, data, label=label, as_json=json))


@model.command()
def calibrate(file: ModelFile, data: Data, out: Out, label: Label = "bankrupt") -> None:
    """Fit a model's probabilities to your own companies; its points and reasons stay.

    Needs the extra `train`.
    """
    from service.cli.scoring.models import calibrate_model  # noqa: PLC0415  # cold start

    raise typer.Exit(calibrate_model(file, data, label=label, out=out))


@model.command()
def show(
    file: Annotated[
        str, typer.Argument(metavar="MODEL", help="annual, quarterly (those that come with it), or a file.")
    ],
    card: Annotated[
        Path | None, typer.Option(help="Write its model card, Markdown with SVG beside it, to this folder.")
    ] = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show a model: its points for each ratio, what it was trained on, and how good it is."""
    from service.cli.scoring.models import show_model  # noqa: PLC0415  # cold start

    raise typer.Exit(show_model(file, card=card, as_json=json))


def score(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Companies (CSV, XLSX or Parquet): a path or a URI.")
    ],
    kind: Annotated[
        PredictionKind, typer.Option(help="What statements the ratios are from.")
    ] = PredictionKind.ANNUAL,
    model_file: Annotated[
        Path | None, typer.Option("--model", help="A model file; by default the one that comes with it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every row's score to this .csv or .parquet.")
    ] = None,
    units: Annotated[Units | None, typer.Option(help="What percentages are, where that is in doubt.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook; by default the first.")] = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Score a file of companies: the probability of default of each, and its reasons.

    Every row is scored, abstained on, a duplicate or invalid. Nothing is stored or sent.
    """
    from service.cli.scoring.scoring import score_file  # noqa: PLC0415  # cold start

    raise typer.Exit(
        score_file(file, kind=kind, model=model_file, out=out, units=units, sheet=sheet, as_json=json)
    )
