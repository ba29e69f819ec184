"""Makers of predictions: statements of companies, scored by the small model."""

from typing import Any, Final

from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel
from service.default_risk.predictor import Predictor, record_of
from service.domain.default_risk.prediction import NewPrediction
from service.domain.default_risk.prediction_kind import PredictionKind
from tests.support.companies import ANNUAL, HEALTHY, small_model

SMALL: Final = small_model()
MODEL: Final = record_of(SMALL)
OTHER_MODEL: Final = record_of(small_model(name="other"))
RATIOS: Final = {name: HEALTHY[name] for name in ANNUAL}


def predictor_of(model: RiskModel = SMALL, *, prior: float | None = None) -> Predictor:
    """Return a predictor of annual statements."""
    return Predictor({PredictionKind.ANNUAL: model}, prior=prior, thresholds=RiskThresholds())


def a_prediction(symbol: str = "ACME", year: int = 2025, quarter: int = 0, **changes: Any) -> NewPrediction:
    """Return what the small model says of a statement; `changes` are of its ratios."""
    return NewPrediction(
        company_symbol=symbol,
        company_name=f"{symbol} AG",
        sector=None,
        market_cap=12.5,
        reporting_year=year,
        reporting_quarter=quarter,
        assessment=predictor_of().assess(MODEL.kind, RATIOS | changes),
    )
