"""The model card: two pages of Markdown, with drawings of its calibration and of its points."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from service.default_risk.model import RiskModel, logit, with_prior

_PRIORS: Final = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of defaults for which the card says what the same company's probability becomes."""
_SAID: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
_SIDE: Final = 360
_MARGIN: Final = 44
_ROW: Final = 22
_WIDTH: Final = 720
_LABEL: Final = 250
_INK, _GREY, _RISK, _SAFE = "#1d1c1d", "#bbbbbb", "#c0392b", "#2471a3"


def write_card(model: RiskModel, folder: Path) -> list[Path]:
    """Write the card and its two drawings to a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        f"{model.name}.md": card(model),
        f"{model.name}-reliability.svg": reliability_drawing(model),
        f"{model.name}-points.svg": points_drawing(model),
    }
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in written]


def card(model: RiskModel) -> str:
    """Return the card, in Markdown."""
    data, held_out = model.trained_on, model.held_out
    share = f"{100 * model.prior:.1f} %"
    brier = f"{held_out['brier']:.4f} | {held_out['brier_of_the_base_rate']:.4f}"
    return f"""# Model card: {model.name}

What it says: the probability that a company defaults within {model.horizon}, from {model.kind} statements.

**Intended use.** {model.intended_use}

**Limits.**

{_lines(f"- {limit}" for limit in model.limits)}

**Trained on** {data.title}: {data.rows:,} companies, {data.defaults:,} defaults ({share}). {data.citation}
Licence: {data.licence}. SHA-256 of the data: `{data.sha256}`.

**The model** is a table: points for each ratio, in log-odds, against the average company of the training data
({model.base:+.3f}). A missing ratio adds nothing. SHA-256 of the model: `{model.sha256}`.

## How good it is

On companies that it had not seen (ten folds, each scored by a model of the other nine):

| companies | defaults | AUC | Brier score | Brier score of the base rate | ECE |
|---|---|---|---|---|---|
| {held_out["rows"]:,} | {held_out["defaults"]:,} | {held_out["auc"]:.4f} | {brier} | {held_out["ece"]:.4f} |

![what was said against what came]({model.name}-reliability.svg)

| tenth of the companies | said | came |
|---|---|---|
{_lines(_bin(place, each) for place, each in enumerate(held_out["bins"], start=1))}

## Points

![points of each ratio]({model.name}-points.svg)

| ratio | values | log-odds |
|---|---|---|
{_lines(f"| {name} | {values} | {points} |" for name, values, points in points_rows(model))}

## Where another share defaults

The model is calibrated for {share} defaults. `PRIOR` moves it to yours; one company's probability then is:

| said at {share} | {" | ".join(f"{100 * prior:g} %" for prior in _PRIORS)} |
|---|{"---|" * len(_PRIORS)}
{_lines(_prior_row(model, said) for said in _SAID)}
"""


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _bin(place: int, each: Mapping[str, float]) -> str:
    return f"| {place} | {100 * each['said']:.1f} % | {100 * each['came']:.1f} % |"


def _prior_row(model: RiskModel, said: float) -> str:
    moved = (f"{100 * _moved(model, said, prior):.2f} %" for prior in _PRIORS)
    return f"| {100 * said:g} % | {' | '.join(moved)} |"


def _moved(model: RiskModel, said: float, prior: float) -> float:
    """Return what a probability becomes under another share of defaults."""
    shift: float = with_prior(model, prior).calibration.intercept - model.calibration.intercept
    return 1 / (1 + math.exp(-logit(said) - shift))


def points_rows(model: RiskModel) -> list[tuple[str, str, str]]:
    """Return a row for each bin of each ratio: name, values, what it adds to the log-odds."""
    rows = []
    for table in model.ratios:
        name = f"1 / {table.ratio.label}" if table.ratio.inverted else table.ratio.label
        unit = "" if table.ratio.inverted else f" {table.ratio.unit}"
        edges = [f"{edge:g}{unit}" for edge in table.edges]
        values = [
            f"{f'over {low}' if low else ''}{' ' if low and high else ''}{f'up to {high}' if high else ''}"
            for low, high in zip(["", *edges], [*edges, ""], strict=True)
        ]
        points = table.points * model.calibration.slope
        rows += [(name, value or "any", f"{point:+.2f}") for value, point in zip(values, points, strict=True)]
    return rows


def reliability_drawing(model: RiskModel) -> str:
    """Return an SVG: for each tenth of the companies what was said (x) and what came (y)."""
    bins = model.held_out["bins"]
    most: float = max(*(each["said"] for each in bins), *(each["came"] for each in bins)) * 1.1
    inner = _SIDE - 2 * _MARGIN

    def place(value: float) -> float:
        return round(value / most * inner, 1)

    parts = [
        _line(_MARGIN, _SIDE - _MARGIN, _SIDE - _MARGIN, _MARGIN, _GREY),
        _line(_MARGIN, _SIDE - _MARGIN, _SIDE - _MARGIN, _SIDE - _MARGIN, _INK),
        _line(_MARGIN, _SIDE - _MARGIN, _MARGIN, _MARGIN, _INK),
        _text(_SIDE / 2, _SIDE - 12, "probability that was said", "middle"),
        _text(_MARGIN - 6, _MARGIN - 12, "share that defaulted", "start"),
        _text(_SIDE - _MARGIN, _SIDE - _MARGIN + 16, f"{100 * most:.0f} %", "end"),
        _text(_MARGIN - 6, _MARGIN + 4, f"{100 * most:.0f} %", "end"),
    ]
    parts += [
        f'<circle cx="{_MARGIN + place(each["said"])}" cy="{_SIDE - _MARGIN - place(each["came"])}" r="4" '
        f'fill="{_SAFE}"/>'
        for each in bins
    ]
    return _svg(_SIDE, _SIDE, parts, f"{model.name}: what was said against what came")


def points_drawing(model: RiskModel) -> str:
    """Return an SVG: a bar for each bin of each ratio, to the right where it raises the risk."""
    rows = points_rows(model)
    scale = (_WIDTH - _LABEL - 60) / 2 / max(0.1, *(abs(float(points)) for _, _, points in rows))
    middle = _LABEL + (_WIDTH - _LABEL) / 2
    parts = []
    before = ""
    for place, (name, values, points) in enumerate(rows):
        y = 20 + place * _ROW
        amount = float(points)
        width = round(abs(amount) * scale, 1)
        if name != before:
            parts.append(_line(8, y - 4, _WIDTH - 8, y - 4, _GREY))
            parts.append(_text(8, y + 12, name, "start", bold=True))
        before = name
        begin = middle if amount > 0 else middle - width
        parts.append(
            f'<rect x="{begin:.1f}" y="{y}" width="{width}" height="{_ROW - 8}" '
            f'fill="{_RISK if amount > 0 else _SAFE}"/>'
        )
        parts.append(_text(_LABEL + 56, y + 12, values, "end"))
        parts.append(_text(_WIDTH - 10, y + 12, points, "end"))
    return _svg(_WIDTH, 30 + len(rows) * _ROW, parts, f"{model.name}: log-odds of each ratio's values")


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([opening, f"<title>{escape(title)}</title>", ground, *parts, "</svg>", ""])


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{_INK}"{weight}>{escape(text)}</text>'
