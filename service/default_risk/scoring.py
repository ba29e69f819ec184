"""Scoring: arrays of ratios become probabilities, contributions, flags and the order of the reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel
from service.default_risk.ratios import MOST_MISSING

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

AT_ONCE: Final = 1 << 14
"""Rows that are scored together: what they need fits the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of n companies by a model of k ratios; where one abstained its numbers are not numbers."""

    probability: Floats
    """(n,)"""
    log_odds: Floats
    """(n,), the model's base plus the sum of the contributions."""
    contributions: Floats
    """(k, n) in log-odds; 0 for what is missing."""
    missing: Flags
    """(k, n)"""
    clamped: Flags
    """(k, n): outside the range of the training data."""
    abstained: Flags
    """(n,): too many ratios are missing."""
    order: NDArray[np.intp]
    """(n, k): the ratios by the size of their contribution, largest first."""


def score(model: RiskModel, values: Sequence[Floats]) -> Scores:
    """Score n companies: an array of n values for each ratio of the model; missing is NaN or infinite."""
    size = len(values[0])
    shape = (len(values), size)
    contributions = np.empty(shape)
    missing = np.empty(shape, bool)
    clamped = np.empty(shape, bool)
    log_odds = np.empty(size)
    order = np.empty((size, len(values)), np.intp)
    slope, base = model.calibration.slope, model.base
    for begin in range(0, size, AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        for place, (table, column) in enumerate(zip(model.ratios, values, strict=True)):
            piece = column[part]
            absent = missing[place, part]
            np.logical_not(np.isfinite(piece), out=absent)
            if absent.any():
                piece = np.where(absent, np.nan, piece)
            np.multiply(table.of(piece), slope, out=contributions[place, part])
            clamped[place, part] = table.outside(piece)
        here = contributions[:, part]
        np.add(base, here.sum(axis=0), out=log_odds[part])
        order[part] = np.argsort(-np.abs(here.T), axis=1, kind="stable")
    abstained = np.count_nonzero(missing, axis=0) > MOST_MISSING[model.kind]
    log_odds[abstained] = np.nan
    contributions[:, abstained] = np.nan
    return Scores(
        probability=1.0 / (1.0 + np.exp(-log_odds)),
        log_odds=log_odds,
        contributions=contributions,
        missing=missing,
        clamped=clamped,
        abstained=abstained,
        order=order,
    )


def level_codes(probability: Floats, thresholds: RiskThresholds) -> NDArray[np.intp]:
    """Return 0 for LOW, 1 for MEDIUM, 2 for HIGH; nothing that counts where there is no probability."""
    return np.searchsorted([thresholds.low, thresholds.medium], probability)
