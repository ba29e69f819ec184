"""`model activate`, and `model show` without a model: which models statements are scored with."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service.cli.command import async_command, open_ledger, operator, print_answer
from service.cli.identities.columns import print_columns
from service.cli.scoring.models import show_model
from service.default_risk.model_file import load_model, shipped_model
from service.default_risk.predictor import record_of
from service.domain.default_risk.prediction_kind import PredictionKind
from service.settings import Settings
from service.wiring import open_app


@async_command
async def activate_model(settings: Settings, file: str, *, as_json: bool) -> None:
    """Let statements be scored with a model from now on and print so."""
    is_shipped = file in [*PredictionKind]
    model = shipped_model(PredictionKind(file)) if is_shipped else load_model(Path(file))
    async with open_app(settings, operator=operator()) as app:
        models = app.store.default_risk.models
        changed = await models.activate(model.kind, None if is_shipped else record_of(model))
    answer = {"kind": model.kind, "name": model.name, "sha256": model.sha256, "changed": changed}
    since = "from now on, here and by every service on this database" if changed else "as before"
    words = f"{model.kind} statements are scored with {model.name} (sha256 {model.sha256}) {since}\n"
    print_answer(answer, lambda: sys.stdout.write(words), as_json=as_json)


def show_model_or_active(file: str | None, *, card: Path | None, as_json: bool) -> int:
    """Print a model, or which are active where none is named, and return the exit code."""
    if file is None:
        return _show_active(as_json=as_json)
    return show_model(file, card=card, as_json=as_json)


@async_command
async def _show_active(settings: Settings, *, as_json: bool) -> None:
    """Print which model each kind of statement is scored with."""
    async with open_ledger(settings) as store:
        active = await store.default_risk.models.active()
    rows: list[dict[str, Any]] = []
    for kind in PredictionKind:
        if kind in active:
            rows.append(asdict(active[kind]))
        else:
            shipped = shipped_model(kind)
            of_shipped = {"kind": kind, "number": None, "sha256": shipped.sha256, "name": shipped.name}
            rows.append(of_shipped | {"activated_at": None, "activated_by": None})
    print_answer({"models": rows}, lambda: _print(rows), as_json=as_json)


def _print(rows: Sequence[dict[str, Any]]) -> None:
    columns = ("kind", "name", "sha256", "activated_at", "activated_by")
    titles = [title.upper().replace("_", " ") for title in columns]
    print_columns(titles, [[row[name] for name in columns] for row in rows])
