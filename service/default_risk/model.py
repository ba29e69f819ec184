"""A model: points for each ratio, an intercept and a calibration; a table that anybody can read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.default_risk.ratios import Ratio
from service.domain.default_risk.prediction_kind import PredictionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioPoints:
    """What the values of one ratio add to the log-odds of default.

    Bin `i` holds the inputs up to and with `edges[i]`; the last bin is open. The points of the training
    data have the mean 0, so that points are "against the average company", and a missing value has 0.
    """

    ratio: Ratio
    edges: NDArray[np.float64]
    """Ascending, of the model's input (see `Ratio.inputs`); one fewer than points."""
    points: NDArray[np.float64]
    lowest: float
    highest: float
    """The range of the training data's values, not inputs."""

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the points of each value; 0 where it is not a number."""
        inputs = self.ratio.inputs(np.clip(values, self.lowest, self.highest))
        points: NDArray[np.float64] = self.points[np.searchsorted(self.edges, inputs, side="left")]
        points[np.isnan(values)] = 0.0
        return points

    def outside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which values the training data never had: they count like the nearest that it had."""
        return (values < self.lowest) | (values > self.highest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What turns the sum of points into log-odds that come true: `intercept + slope * sum`."""

    slope: float
    intercept: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedOn:
    """Where the training data came from."""

    title: str
    citation: str
    licence: str
    sha256: str
    """Of the file."""
    rows: int
    defaults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskModel:
    """One model of default risk, as its file holds it."""

    name: str
    kind: PredictionKind
    horizon: str
    """Within which time a default is meant, in words."""
    trained_on: TrainedOn
    prior: float
    """The share of defaults that the calibration is for."""
    intercept: float
    """The log-odds of a company whose points are all 0, before calibration."""
    calibration: Calibration
    ratios: tuple[RatioPoints, ...]
    """In the order of `ratios_of(kind)`."""
    held_out: Mapping[str, Any]
    """Measured on companies that the model had not seen; see `training.evaluation`."""
    intended_use: str
    limits: tuple[str, ...]
    sha256: str
    """Of the file's content without this value: which model a prediction was made with."""

    @property
    def base(self) -> float:
        """The log-odds of the average company; contributions are added to it."""
        return self.calibration.intercept + self.calibration.slope * self.intercept


def with_prior(model: RiskModel, prior: float) -> RiskModel:
    """Return the model for users among whom the share `prior` defaults; raises ValueError.

    By Bayes's rule only the odds before any evidence change, so the intercept moves and no points do.
    """
    if not 0 < prior < 1:
        raise ValueError("a share of defaults lies between 0 and 1, and is neither")
    moved = logit(prior) - logit(model.prior)
    calibration = replace(model.calibration, intercept=model.calibration.intercept + moved)
    return replace(model, prior=prior, calibration=calibration)


def logit(probability: float) -> float:
    """Return the log-odds of a probability between 0 and 1."""
    return math.log(probability) - math.log1p(-probability)
