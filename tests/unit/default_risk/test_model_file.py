"""The model file: what is written is read, and nothing that was changed or contradicts finance is used."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from service.default_risk.errors import BadModelError
from service.default_risk.model_file import load_model, model_bytes, parse_model, shipped_model
from service.default_risk.ratios import RATIOS, ratios_of
from service.domain.default_risk.prediction_kind import PredictionKind
from tests.support.companies import small_model


@pytest.mark.parametrize("kind", [*PredictionKind])
def test_the_shipped_models_load_and_say_how_good_they_are(kind: PredictionKind) -> None:
    """Each is of its kind, small, measured on companies that it had not seen, and written byte for byte."""
    model = shipped_model(kind)
    assert [table.ratio for table in model.ratios] == list(ratios_of(kind))
    assert model.held_out["auc"] >= {"annual": 0.78, "quarterly": 0.77}[kind]
    assert model.held_out["brier"] < 0.0590
    assert model.held_out["ece"] <= 0.02
    assert "CC BY 4.0" in model.trained_on.licence
    path = Path(__file__).parents[3] / "service/default_risk/models" / f"{kind}.json"
    assert model_bytes(model) == path.read_bytes()
    assert path.stat().st_size < 8_000


def test_a_changed_model_is_not_loaded() -> None:
    """One digit of one point, and the checksum does not match; layout alone changes nothing."""
    content = model_bytes(small_model())
    with pytest.raises(BadModelError, match="it has been changed"):
        parse_model(content.replace(b"-0.25", b"-0.26", 1), "small.json")
    assert parse_model(orjson.dumps(orjson.loads(content)), "small.json").name == "small"


def changed(**changes: Any) -> bytes:
    """Return a model whose first ratio is another, and the checksum that goes with it."""
    model = small_model()
    return model_bytes(replace(model, ratios=(replace(model.ratios[0], **changes), *model.ratios[1:])))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"{}", "format: Field required"),
        (changed(points=np.array([1.0, 0.0])), "ratios.0.points: must rise"),
        (changed(points=np.array([1.0])), "ratios.0.points: must be one more than edges"),
        (
            changed(edges=np.array([2.0, 1.0]), points=np.array([0.0, 1.0, 2.0])),
            "ratios.0.edges: must ascend",
        ),
        (changed(lowest=900.0), "ratios.0.range"),
        (changed(ratio=ratios_of(PredictionKind.QUARTERLY)[1]), "ratios: must be long_term_debt"),
        (model_bytes(small_model()).replace(b'"name": "small"', b'"name": "../up"'), "name: "),
        (model_bytes(small_model()).replace(b'"format": 1', b'"format": 2'), "format: "),
        (model_bytes(small_model()).replace(b'"prior"', b'"odds": 1, "prior"'), "odds: Extra inputs"),
        (changed(ratio=replace(RATIOS["sga_margin"], name="luck")), "luck is not known"),
    ],
)
def test_every_problem_of_a_model_file_is_named(content: bytes, problem: str) -> None:
    """A file that is none, a table that cannot be, and points that contradict finance."""
    with pytest.raises(BadModelError, match=r"x\.json") as error:
        parse_model(content, "x.json")
    assert problem in error.value.detail


def test_a_missing_or_huge_file_is_named(tmp_path: Path) -> None:
    """What cannot be read is said in one sentence."""
    with pytest.raises(BadModelError, match=r"none\.json cannot be read"):
        load_model(tmp_path / "none.json")
    (tmp_path / "huge.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(BadModelError, match="larger than 1 MB"):
        load_model(tmp_path / "huge.json")
