"""`model train|evaluate|calibrate|show`: models are made, measured and looked at."""

import sys
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from service.cli.command import command, print_answer
from service.cli.logs.text_table import write_table
from service.default_risk.card import points_rows, write_card
from service.default_risk.errors import BadCompaniesFileError, BadModelError
from service.default_risk.model import RiskModel
from service.default_risk.model_file import load_model, model_bytes, parse_model, shipped_model
from service.default_risk.training.labelled import read_labelled
from service.default_risk.training.train import Description, evaluate, recalibrate, train
from service.domain.default_risk.prediction_kind import PredictionKind
from service.settings import Settings
from service.telemetry.terminal import harmless


class _Description(BaseModel):
    """What a file for `--describe` may hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    horizon: str = "not said"
    title: str = "not said"
    citation: str = "not said"
    licence: str = "not said"
    intended_use: str = "not said"
    limits: list[str] = []


@command
def train_model(
    _: Settings,
    data: Path,
    *,
    kind: PredictionKind,
    name: str,
    out: Path,
    label: str,
    company: str | None,
    time: str | None,
    describe: Path | None,
) -> None:
    """Train a model, write its file and print how good it is."""
    _check_out(out, data)
    words = _described(describe)
    description = Description(name=name, **words.model_dump(exclude={"limits"}), limits=tuple(words.limits))
    labelled = read_labelled(data, kind, label=label, company=company, time=time)
    _write(train(labelled, description), out, measured="On companies that it had not seen:")


@command
def evaluate_model(_: Settings, file: Path, data: Path, *, label: str, as_json: bool) -> None:
    """Print how good a model is on labelled companies."""
    model = load_model(file)
    found = evaluate(model, read_labelled(data, model.kind, label=label))
    print_answer(found, lambda: _print_metrics(found), as_json=as_json)


@command
def calibrate_model(_: Settings, file: Path, data: Path, *, label: str, out: Path) -> None:
    """Write a model whose probabilities fit labelled companies."""
    _check_out(out, data)
    model = load_model(file)
    labelled = read_labelled(data, model.kind, label=label)
    _write(
        recalibrate(model, labelled),
        out,
        measured="On these companies, a tenth at a time fitted to the others:",
    )


@command
def show_model(_: Settings, file: str, *, card: Path | None, as_json: bool) -> None:
    """Print a model, or write its card."""
    model = model_of(PredictionKind(file), None) if file in [*PredictionKind] else load_model(Path(file))
    if card is not None:
        for path in write_card(model, card):
            sys.stdout.write(f"{harmless(str(path))}\n")
    elif as_json:
        sys.stdout.write(model_bytes(model).decode())
    else:
        _print_model(model)


def model_of(kind: PredictionKind, path: Path | None) -> RiskModel:
    """Return the model that a command names; raises BadModelError, also where it is for other statements."""
    if path is None:
        return shipped_model(kind)
    model = load_model(path)
    if model.kind is not kind:
        raise BadModelError(f"{path.name} is for {model.kind} statements, not {kind}")
    return model


def check_not_over(out: Path | None, data: Path) -> None:
    """Raise BadCompaniesFileError where what is written would stand in the place of the companies."""
    if out is not None and out.exists() and data.exists() and out.samefile(data):
        raise BadCompaniesFileError(f"{out.name} is the file that is read: name another one with --out")


def _check_out(out: Path, data: Path) -> None:
    """Find what keeps a model from being written before it is made, which may take minutes."""
    check_not_over(out, data)
    if not out.absolute().parent.is_dir():
        raise BadModelError(f"{out.name} cannot be written: there is no folder {out.parent}")


def _described(path: Path | None) -> _Description:
    if path is None:
        return _Description()
    try:
        return _Description.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise BadModelError(f"{path.name} cannot be read: {problem.strerror}") from problem
    except ValidationError as error:
        said = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors(include_url=False))
        raise BadModelError(f"{path.name}: {said}") from None
    except ValueError as problem:
        raise BadModelError(f"{path.name} is not TOML: {problem}") from problem


def _write(model: RiskModel, out: Path, *, measured: str) -> None:
    content = model_bytes(model)
    # What cannot be loaded shall not be written.
    model = parse_model(content, out.name)
    try:
        out.write_bytes(content)
    except OSError as problem:
        raise BadModelError(f"{out.name} cannot be written: {problem.strerror}") from problem
    sys.stdout.write(f"{harmless(str(out))}: {len(content):,} bytes, sha256 {model.sha256}\n")
    sys.stdout.write(f"{measured}\n")
    _print_metrics(model.held_out)


def _print_metrics(found: Any) -> None:
    sys.stdout.write(
        f"{found['rows']:,} companies, {found['defaults']:,} defaults · AUC {found['auc']:.4f} · "
        f"Brier {found['brier']:.4f} (the base rate alone: {found['brier_of_the_base_rate']:.4f}) · "
        f"ECE {found['ece']:.4f}\n"
    )
    if found.get("abstained"):
        sys.stdout.write(f"abstained on {found['abstained']:,} more\n")
    write_table(
        ("companies", "said %", "came %"),
        [(each["rows"], 100 * each["said"], 100 * each["came"]) for each in found["bins"]],
    )


def _print_model(model: RiskModel) -> None:
    data = model.trained_on
    lines = [
        f"{model.name}: {model.kind}, defaults within {model.horizon}",
        f"trained on {data.rows:,} companies, {data.defaults:,} defaults: {data.title} ({data.licence})",
        f"sha256 {model.sha256}",
        f"the average company: {model.base:+.2f} log-odds; calibrated for {100 * model.prior:.1f} % defaults",
        "",
    ]
    sys.stdout.write(harmless("\n".join(lines), lines=True) + "\n")
    write_table(("ratio", "values", "log-odds"), points_rows(model))
    sys.stdout.write("\n")
    _print_metrics(model.held_out)
