"""Makers of companies: a small model, labelled data whose truth is known, and files in every format."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.default_risk.model import Calibration, RatioPoints, RiskModel, TrainedOn
from service.default_risk.model_file import model_bytes, parse_model
from service.default_risk.ratios import ratios_of
from service.domain.default_risk.prediction_kind import PredictionKind

ANNUAL: Final = [ratio.name for ratio in ratios_of(PredictionKind.ANNUAL)]
HEALTHY: Final = {
    "company_symbol": "SOLID",
    "company_name": "Solid AG",
    "reporting_year": "2025",
    "long_term_debt_to_total_capital": "10",
    "total_debt_to_ebitda": "1.2",
    "net_income_margin": "12",
    "ebit_to_interest_expense": "14",
    "return_on_assets": "11",
}
"""A row of a file of annual statements."""


def small_model(**changes: Any) -> RiskModel:
    """Return a model of two bins for each ratio: 0.5 for the worse, -0.25 for the better."""
    ratios = []
    for place, ratio in enumerate(ratios_of(PredictionKind.ANNUAL)):
        points = [-0.25, 0.5 + place] if ratio.riskier == "higher" else [0.5 + place, -0.25]
        ratios.append(
            RatioPoints(
                ratio=ratio,
                edges=np.array([0.1 if ratio.inverted else 5.0]),
                points=np.array(points),
                lowest=-100.0,
                highest=200.0,
            )
        )
    bins = [{"rows": 10, "said": share, "came": share} for share in (0.05, 0.2)]
    given: dict[str, Any] = {
        "name": "small",
        "kind": PredictionKind.ANNUAL,
        "horizon": "one year",
        "trained_on": TrainedOn(
            title="Nothing", citation="Nobody", licence="none", sha256="0" * 64, rows=100, defaults=10
        ),
        "prior": 0.1,
        "intercept": -2.0,
        "calibration": Calibration(slope=0.9, intercept=0.1),
        "ratios": tuple(ratios),
        "held_out": {
            "rows": 100,
            "defaults": 10,
            "auc": 0.8,
            "brier": 0.08,
            "brier_of_the_base_rate": 0.09,
            "ece": 0.01,
            "bins": bins,
        },
        "intended_use": "Tests.",
        "limits": ("None is real.",),
        "sha256": "",
    }
    return parse_model(model_bytes(RiskModel(**given | changes)), "small.json")


def columns(rows: Sequence[Sequence[float]]) -> list[NDArray[np.float64]]:
    """Return rows of ratios as the arrays that scoring takes, one for each ratio."""
    return list(np.array(rows, float).T.copy())


def labelled_table(rows: int, seed: int = 0) -> Any:
    """Return labelled companies: losses and debt make defaults likelier, and three in a hundred are NaN."""
    random = np.random.default_rng(seed)
    margin = random.normal(4, 12, rows)
    ebitda = random.normal(12, 10, rows)
    table = {
        "long_term_debt_to_total_capital": np.abs(random.normal(30, 25, rows)),
        "total_debt_to_ebitda": np.abs(random.normal(30, 20, rows)) / ebitda,
        "net_income_margin": margin,
        "ebit_to_interest_expense": ebitda / 3 + random.normal(0, 2, rows),
        "return_on_assets": margin / 2 + random.normal(0, 3, rows),
    }
    risk = -2.5 - margin / 10 - ebitda / 20
    defaulted = random.random(rows) < 1 / (1 + np.exp(-risk))
    for column in table.values():
        column[random.random(rows) < 0.03] = np.nan
    return pa.table({**table, "bankrupt": defaulted.astype(np.int8)})


def csv_bytes(rows: Sequence[dict[str, Any]], *, delimiter: str = ",") -> bytes:
    """Return rows as CSV, with a header."""
    out = io.StringIO(newline="")
    lines = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    lines.writeheader()
    lines.writerows(rows)
    return out.getvalue().encode()


def write_companies(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write rows of text as CSV, XLSX or Parquet, as the path ends; numbers are numbers where they can be."""
    match path.suffix:
        case ".csv":
            path.write_bytes(csv_bytes(rows))
        case ".parquet":
            pq.write_table(pa.table({name: _typed([row[name] for row in rows]) for name in rows[0]}), path)
        case _:
            path.write_bytes(
                xlsx_bytes([list(rows[0]), *([_number(cell) for cell in row.values()] for row in rows)])
            )


def xlsx_bytes(cells: Sequence[Sequence[Any]], *, sheet: str = "Companies") -> bytes:
    """Return a workbook of one sheet; text is text, numbers are numbers."""
    from openpyxl import Workbook  # noqa: PLC0415  # slow to import, and only here

    book = Workbook()
    page = book.active
    page.title = sheet
    for row in cells:
        page.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _typed(values: list[str]) -> Any:
    numbers = [_number(value) for value in values]
    return pa.array(numbers) if all(isinstance(each, float) for each in numbers) else pa.array(values)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
