"""Train: labelled companies in, a model with its held-out metrics out; the same bytes for the same file."""

from dataclasses import dataclass, replace

import numpy as np

from service.default_risk.model import Calibration, RiskModel, TrainedOn
from service.default_risk.scoring import score
from service.default_risk.training.evaluation import calibrated_fit, measured, out_of_fold
from service.default_risk.training.fitting import calibrate
from service.default_risk.training.labelled import Labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What only people know of a model and its data."""

    name: str
    horizon: str
    title: str
    citation: str
    licence: str
    intended_use: str
    limits: tuple[str, ...]


def train(data: Labelled, description: Description) -> RiskModel:
    """Return a model of all rows, and the metrics of ten others that each left a tenth out.

    Raises TrainingNotInstalledError. Its checksum is computed as it is written.
    """
    tested, said = out_of_fold(data)
    fitted, calibration = calibrated_fit(data, np.arange(len(data.defaulted)))
    return RiskModel(
        name=description.name,
        kind=data.kind,
        horizon=description.horizon,
        trained_on=TrainedOn(
            title=description.title,
            citation=description.citation,
            licence=description.licence,
            sha256=data.sha256,
            rows=len(data.defaulted),
            defaults=int(data.defaulted.sum()),
        ),
        prior=float(data.defaulted.mean()),
        intercept=fitted.intercept,
        calibration=calibration,
        ratios=fitted.ratios,
        held_out=measured(said, data.defaulted[tested]),
        intended_use=description.intended_use,
        limits=description.limits,
        sha256="",
    )


def evaluate(model: RiskModel, data: Labelled) -> dict[str, object]:
    """Return the metrics of a model on labelled companies; those on which it abstains are counted apart."""
    scores = score(model, data.values)
    scored = ~scores.abstained
    return {
        **measured(scores.probability[scored], data.defaulted[scored]),
        "abstained": int(scores.abstained.sum()),
    }


def recalibrate(model: RiskModel, data: Labelled) -> RiskModel:
    """Return the model with a slope and an intercept that come true on one's own companies.

    Points and reasons keep their order; what the model was trained on stays in it, and its held-out metrics
    become those on this data, in folds. Raises TrainingNotInstalledError.
    """
    scores = score(model, data.values)
    rows = np.flatnonzero(~scores.abstained)
    sums = (scores.log_odds[rows] - model.calibration.intercept) / model.calibration.slope
    own = data.of(rows)
    said = np.empty(len(rows))
    order = np.random.default_rng(0).permutation(len(rows)) % 10
    for fold in range(10):
        test = order == fold
        found = calibrate(sums[~test], own.defaulted[~test])
        said[test] = 1 / (1 + np.exp(-(found.intercept + found.slope * sums[test])))
    calibration: Calibration = calibrate(sums, own.defaulted)
    return replace(
        model,
        calibration=calibration,
        prior=float(own.defaulted.mean()),
        held_out=measured(said, own.defaulted),
    )
