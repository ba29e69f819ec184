"""The group of commands `model`, and `score`."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.declared import done_by
from service.default_risk.units import Units
from service.domain.default_risk.prediction_kind import PredictionKind

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
@done_by("scoring.models:train_model")
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


@model.command()
@done_by("scoring.models:evaluate_model")
def evaluate(
    file: ModelFile,
    data: Data,
    label: Label = "bankrupt",
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Measure a model on companies whose fate is known."""


@model.command()
@done_by("scoring.models:calibrate_model")
def calibrate(file: ModelFile, data: Data, out: Out, label: Label = "bankrupt") -> None:
    """Fit a model's probabilities to your own companies; its points and reasons stay.

    Needs the extra `train`.
    """


@model.command()
@done_by("scoring.activation:activate_model")
def activate(
    file: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A file; annual or quarterly for the one that comes with it."),
    ],
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Let statements be scored with a model from now on, by every service on this database.

    What was predicted before keeps its model. The file is not needed any more: the database has it.
    """


@model.command()
@done_by("scoring.activation:show_model_or_active")
def show(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="annual, quarterly (those that come with it), or a file; unset: which are active.",
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="Write its model card, Markdown with SVG beside it, to this folder.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show a model: its points for each ratio, what it was trained on, and how good it is.

    Without one: which model each kind of statement is scored with, since when, and by whom.
    """


@done_by("scoring.scoring:score_file")
def score(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Companies (CSV, XLSX or Parquet): a path or a URI.")
    ],
    kind: Annotated[
        PredictionKind, typer.Option(help="What statements the ratios are from.")
    ] = PredictionKind.ANNUAL,
    model: Annotated[
        Path | None, typer.Option("--model", help="A model file; by default the one that comes with it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every row's score to this .csv or .parquet.")
    ] = None,
    units: Annotated[Units | None, typer.Option(help="What percentages are, where that is in doubt.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook; by default the first.")] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Score a file of companies: the probability of default of each, and its reasons.

    Every row is scored, abstained on, a duplicate or invalid. Nothing is stored or sent.
    """
