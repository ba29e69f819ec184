"""Prediction events: what was predicted of one statement; of files the events of jobs tell."""

from dataclasses import dataclass

from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from service.telemetry.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted(Event):
    """A prediction was written down, or a new version of one; nothing of the company."""

    name = "predicted"
    prediction_id: str
    version: int
    kind: PredictionKind
    risk_level: RiskLevel | None
    """None: the model abstained."""
