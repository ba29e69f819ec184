"""Damaged models: `/health` shows which, statements of that kind are refused, and all else goes on."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from service.default_risk.errors import ModelUnusableError
from service.default_risk.integrity.active_models import ActiveModels
from service.default_risk.integrity.checksum import SHIPPED
from service.default_risk.levels import RiskThresholds
from service.default_risk.model_file import shipped_model
from service.default_risk.predictor import Predictor
from service.domain.default_risk.prediction import ModelRecord
from service.domain.default_risk.prediction_kind import PredictionKind
from service.store.store import open_store
from tests.support.predictions import MODEL, OTHER_MODEL, RATIOS
from tests.support.served import running_service, settings

ANNUAL, QUARTERLY = PredictionKind
SHA256: Final = {kind: shipped_model(kind).sha256 for kind in PredictionKind}
STATEMENT: Final[dict[str, Any]] = {"company_symbol": "ACME", "reporting_year": 2025, **RATIOS}


async def activated(url: str, model: ModelRecord | None) -> None:
    """Let annual statements be scored with a model, whatever its file says."""
    async with open_store(url) as store:
        await store.default_risk.models.activate(ANNUAL, model)


@pytest.mark.parametrize(
    "content",
    [MODEL.content.replace(b"-0.25", b"-0.26", 1), OTHER_MODEL.content, b"{", b""],
    ids=["changed", "another", "cut", "empty"],
)
async def test_a_damaged_model_is_shown_and_missed(tmp_path: Path, content: bytes) -> None:
    """A service without it is healthy; another model is all that it needs, and needs no restart."""
    url = f"sqlite:///{tmp_path}/risk_alerts.db"
    await activated(url, replace(MODEL, content=content))
    with running_service(settings(tmp_path)) as service:
        health = service.get("/health")
        assert (health["checks"]["models"], health["checks"]["database"]) == ("unusable", "ok")
        assert health["models"] == {"annual": None, "quarterly": SHA256[QUARTERLY]}
        refused = service.client.post("/api/v1/predictions/annual/score", json=STATEMENT)
        problem = refused.json()["error"]
        assert (refused.status_code, problem["code"]) == (503, "MODEL_UNUSABLE")
        assert problem["message"].startswith("the annual model cannot be used: ")
        quarterly = {"total_debt_to_ebitda": 4, "sga_margin": 12, "return_on_capital": 3}
        period = {"company_symbol": "ACME", "reporting_year": 2025, "reporting_quarter": "Q1"}
        scored = service.client.post("/api/v1/predictions/quarterly/score", json=period | quarterly)
        assert scored.status_code == 200, scored.text
        await activated(url, None)
        assert service.get("/health")["models"] == SHA256
        assert service.client.post("/api/v1/predictions/annual/score", json=STATEMENT).status_code == 200


async def test_a_file_that_is_missing_or_changed_is_found_once(tmp_path: Path) -> None:
    """Of the models that come with the service; what was verified is not read again."""
    shutil.copy(SHIPPED / "quarterly.json", tmp_path)
    predictor = Predictor.shipped(prior=None, thresholds=RiskThresholds(), folder=tmp_path)
    assert predictor.record(QUARTERLY).sha256 == SHA256[QUARTERLY]
    with pytest.raises(ModelUnusableError, match=r"annual\.json cannot be read: No such file"):
        predictor.record(ANNUAL)
    async with open_store(f"sqlite:///{tmp_path}/risk_alerts.db") as store:
        looks = ActiveModels(store.default_risk.model_files, tmp_path)
        assert await looks.look() == {ANNUAL: None, QUARTERLY: SHA256[QUARTERLY]}
        (tmp_path / "quarterly.json").unlink()
        assert (await looks.look())[QUARTERLY] == SHA256[QUARTERLY]
        await store.default_risk.models.activate(ANNUAL, MODEL)
        assert (await looks.look())[ANNUAL] == MODEL.sha256
