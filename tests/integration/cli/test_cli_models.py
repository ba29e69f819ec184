"""Models are activated at the command line, and a running service scores with them from then on."""

import json
from pathlib import Path
from typing import Any

from service.default_risk.model_file import model_bytes, shipped_model
from service.domain.default_risk.prediction_kind import PredictionKind
from tests.support.companies import small_model
from tests.support.predictions import RATIOS
from tests.support.processes import command
from tests.support.served import RunningService, running_service, settings

SHIPPED = shipped_model(PredictionKind.ANNUAL)


def predicted(service: RunningService, symbol: str) -> dict[str, Any]:
    """Return what is predicted of a company."""
    body = {"company_symbol": symbol, "company_name": symbol, "reporting_year": 2025, **RATIOS}
    answer = service.client.post("/api/v1/predictions/annual", json=body)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_an_activated_model_scores_from_then_on(tmp_path: Path) -> None:
    """Also in a service that is running; what was predicted keeps its model; `show` says which is active."""
    own = small_model(name="own")
    (tmp_path / "own.json").write_bytes(model_bytes(own))
    (tmp_path / "changed.json").write_bytes(
        model_bytes(own).replace(b'"intercept": -2.0', b'"intercept": -3.0')
    )
    with running_service(settings(tmp_path)) as service:
        before = predicted(service, "BEFORE")
        assert before["model"]["sha256"] == SHIPPED.sha256
        done = command(tmp_path, "model", "activate", "own.json")
        assert done.returncode == 0, done.stderr
        (tmp_path / "own.json").unlink()
        assert "annual statements are scored with own (sha256 " in done.stdout
        after = predicted(service, "AFTER")
        assert (after["model"]["name"], after["probability"] == before["probability"]) == ("own", False)
        kept = service.client.get(f"/api/v1/predictions/annual/{before['id']}").json()["data"]
        assert kept == before
        refused = command(tmp_path, "model", "activate", "changed.json")
        assert refused.returncode == 64
        assert "sha256" in refused.stderr
        shown = json.loads(command(tmp_path, "model", "show", "--json").stdout)["models"]
        assert [(each["kind"], each["name"]) for each in shown] == [
            ("annual", "own"),
            ("quarterly", "polish-quarterly"),
        ]
        assert shown[0]["activated_by"].startswith("cli:")
        back = json.loads(command(tmp_path, "model", "activate", "annual", "--json").stdout)
        assert back == {"kind": "annual", "name": SHIPPED.name, "sha256": SHIPPED.sha256, "changed": True}
        assert predicted(service, "AGAIN")["model"]["sha256"] == SHIPPED.sha256
    assert "polish-annual" in command(tmp_path, "model", "show").stdout
