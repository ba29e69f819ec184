"""The model file: JSON of a few KB, checked whole when it is read, and the same bytes for the same model."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.default_risk.errors import BadModelError
from service.default_risk.integrity.checksum import (
    SHIPPED,
    check_sha256,
    checksum,
    read_json,
    shipped_content,
)
from service.default_risk.model import Calibration, RatioPoints, RiskModel, TrainedOn
from service.default_risk.ratios import RATIOS, ratios_of
from service.domain.default_risk.prediction_kind import PredictionKind

_LARGEST: Final = 1 << 20
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Text = Annotated[str, Field(min_length=1, max_length=2000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class _Ratio(_Strict):
    name: str
    edges: list[_Finite] = Field(max_length=254)
    points: list[_Finite] = Field(min_length=1, max_length=255)
    range: Annotated[list[_Finite], Field(min_length=2, max_length=2)]


class _Calibration(_Strict):
    slope: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    intercept: _Finite


class _TrainedOn(_Strict):
    title: _Text
    citation: _Text
    licence: _Text
    sha256: str
    rows: Annotated[int, Field(ge=1)]
    defaults: Annotated[int, Field(ge=1)]


class _Model(_Strict):
    format: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    kind: Literal["annual", "quarterly"]
    horizon: _Text
    intended_use: _Text
    limits: list[_Text]
    trained_on: _TrainedOn
    prior: Annotated[float, Field(gt=0, lt=1)]
    intercept: _Finite
    calibration: _Calibration
    ratios: list[_Ratio]
    held_out: dict[str, Any]
    sha256: str


def shipped_model(kind: PredictionKind, folder: Path = SHIPPED) -> RiskModel:
    """Return the model that comes with this service; see docs/default-risk.md for what it is good for.

    Raises BadModelError where its file is missing or was changed.
    """
    return parse_model(shipped_content(kind, folder), f"{kind}.json")


def load_model(path: Path) -> RiskModel:
    """Read a model file; raises BadModelError."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as problem:
        raise BadModelError(f"{path.name} cannot be read: {problem.strerror}") from problem
    if len(content) > _LARGEST:
        raise BadModelError(f"{path.name} is larger than 1 MB")
    return parse_model(content, path.name)


def parse_model(content: bytes, name: str, sha256: str | None = None) -> RiskModel:
    """Read the content of a model file, which must be the one of `sha256` where that is given.

    Raises BadModelError, which names every problem.
    """
    raw = read_json(content, name)
    try:
        read = _Model.model_validate(raw)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise BadModelError(f"{name}: {'; '.join(problems)}") from None
    check_sha256(raw, name, sha256)
    model = RiskModel(
        **read.model_dump(include={"name", "horizon", "prior", "intercept", "intended_use", "sha256"}),
        kind=PredictionKind(read.kind),
        limits=tuple(read.limits),
        held_out=read.held_out,
        trained_on=TrainedOn(**read.trained_on.model_dump()),
        calibration=Calibration(**read.calibration.model_dump()),
        ratios=tuple(_points(ratio, name) for ratio in read.ratios),
    )
    expected = [ratio.name for ratio in ratios_of(model.kind)]
    if [table.ratio.name for table in model.ratios] != expected:
        raise BadModelError(f"{name}: ratios: must be {', '.join(expected)}, in this order")
    problems = [
        f"ratios.{place}.{problem}"
        for place, table in enumerate(model.ratios)
        for problem in _contradictions(table)
    ]
    if problems:
        raise BadModelError(f"{name}: {'; '.join(problems)}")
    return model


def model_bytes(model: RiskModel) -> bytes:
    """Return the content of a model's file; its `sha256` is computed anew."""
    content = {
        "format": 1,
        "name": model.name,
        "kind": str(model.kind),
        "horizon": model.horizon,
        "intended_use": model.intended_use,
        "limits": list(model.limits),
        "trained_on": {
            name: getattr(model.trained_on, name)
            for name in ("title", "citation", "licence", "sha256", "rows", "defaults")
        },
        "prior": model.prior,
        "intercept": model.intercept,
        "calibration": {"slope": model.calibration.slope, "intercept": model.calibration.intercept},
        "ratios": [
            {
                "name": table.ratio.name,
                "edges": table.edges.tolist(),
                "points": table.points.tolist(),
                "range": [table.lowest, table.highest],
            }
            for table in model.ratios
        ],
        "held_out": dict(model.held_out),
    }
    content["sha256"] = checksum(content)
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"


def _points(read: _Ratio, name: str) -> RatioPoints:
    if read.name not in RATIOS:
        raise BadModelError(f"{name}: ratios: {read.name} is not known; there are {', '.join(RATIOS)}")
    return RatioPoints(
        ratio=RATIOS[read.name],
        edges=np.array(read.edges),
        points=np.array(read.points),
        lowest=read.range[0],
        highest=read.range[1],
    )


def _contradictions(table: RatioPoints) -> list[str]:
    """Return what makes a ratio's table unusable, or contrary to finance."""
    found = []
    if len(table.points) != len(table.edges) + 1:
        found.append("points: must be one more than edges")
    if (np.diff(table.edges) <= 0).any():
        found.append("edges: must ascend")
    rising = table.ratio.riskier == "higher"
    steps = np.diff(table.points)
    if (steps < 0).any() if rising else (steps > 0).any():
        way = "rise" if rising else "fall"
        of = f"1/{table.ratio.name}" if table.ratio.inverted else table.ratio.name
        found.append(
            f"points: must {way} from bin to bin, as a higher {of} means {'more' if rising else 'less'} risk"
        )
    if table.lowest > table.highest:
        found.append("range: must be the lowest value and the highest")
    return found
