"""Predictions: what a model says of one statement of one company, kept for good with its model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from service.domain.default_risk.company import Company
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """Which model a prediction was made with."""

    sha256: str
    kind: PredictionKind
    name: str
    horizon: str
    """Within which time a default is meant, in words."""
    trained_on: str
    """The title of its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord(ModelName):
    """A model as it is kept for good beside the predictions that were made with it."""

    content: bytes
    """Its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveModel:
    """The model that statements of a kind are scored with, where it was activated."""

    kind: str
    number: int
    """How many activations of the kind there have been."""
    sha256: str
    name: str
    activated_at: datetime
    """By the database's clock."""
    activated_by: str


def why_abstained(missing: Iterable[str]) -> str:
    """Return the sentence for a statement that lacks these ratios."""
    return f"too many ratios are missing: {', '.join(missing)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a model says of one statement; ratios and contributions are in the order of the kind's ratios."""

    ratios: tuple[float | None, ...]
    """None: missing."""
    probability: float | None
    """Exact; None where the model abstained, since too many ratios are missing."""
    risk_level: RiskLevel | None
    """By the thresholds of the time."""
    prior: float
    """The share of defaults that the model was calibrated for."""
    intercept: float
    """The log-odds of the average company: with the contributions they are those of the probability."""
    contributions: tuple[float, ...]
    """In log-odds; none where the model abstained."""
    clamped: tuple[str, ...] = ()
    """The ratios whose values the training data never had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrediction:
    """A prediction to be written down."""

    company_symbol: str
    company_name: str | None
    """Of a company that is not known yet; so are the two below. None: as its symbol."""
    sector: str | None
    market_cap: float | None
    reporting_year: int
    reporting_quarter: int
    """0: an annual statement."""
    assessment: Assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessments:
    """What a model says of many statements, column by column: an object for each costs too much.

    Each column is as the field of `Assessment` that it is called after.
    """

    prior: float
    intercept: float
    probability: Sequence[float | None]
    risk_level: Sequence[RiskLevel | None]
    ratios: Sequence[Sequence[float | None]]
    contributions: Sequence[Sequence[float]]
    clamped: Sequence[Sequence[str]]

    @classmethod
    def of(cls, *said: Assessment) -> Self:
        """Return some, at least one, as columns."""
        return cls(
            prior=said[0].prior,
            intercept=said[0].intercept,
            probability=[each.probability for each in said],
            risk_level=[each.risk_level for each in said],
            ratios=[each.ratios for each in said],
            contributions=[each.contributions for each in said],
            clamped=[each.clamped for each in said],
        )

    def at(self, place: int) -> Assessment:
        """Return what is said of one statement."""
        return Assessment(
            prior=self.prior,
            intercept=self.intercept,
            probability=self.probability[place],
            risk_level=self.risk_level[place],
            ratios=tuple(self.ratios[place]),
            contributions=tuple(self.contributions[place]),
            clamped=tuple(self.clamped[place]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPredictions:
    """Predictions to be written down together, column by column as `NewPrediction`; all are of one prior."""

    company_symbol: Sequence[str]
    company_name: Sequence[str | None]
    sector: Sequence[str | None]
    market_cap: Sequence[float | None]
    reporting_year: Sequence[int]
    reporting_quarter: Sequence[int]
    assessments: Assessments

    @classmethod
    def of(cls, *new: NewPrediction) -> Self:
        """Return some, at least one, as columns."""
        return cls(
            company_symbol=[each.company_symbol for each in new],
            company_name=[each.company_name for each in new],
            sector=[each.sector for each in new],
            market_cap=[each.market_cap for each in new],
            reporting_year=[each.reporting_year for each in new],
            reporting_quarter=[each.reporting_quarter for each in new],
            assessments=Assessments.of(*(each.assessment for each in new)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One version of a prediction."""

    id: str
    """The same for all versions."""
    version: int
    """From 1."""
    is_newest: bool
    tenant_id: str
    organization_id: str
    company: Company
    kind: PredictionKind
    reporting_year: int
    reporting_quarter: int
    """0: an annual statement."""
    model: ModelName
    assessment: Assessment
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionFilter:
    """Which predictions are asked for; None where it does not matter."""

    kind: PredictionKind | None = None
    organization_id: str | None = None
    company_id: str | None = None
    company_symbol: str | None = None
    reporting_year: int | None = None
    reporting_quarter: int | None = None
    risk_level: RiskLevel | None = None
    model: str | None = None
    """The SHA-256 of its model."""
