"""Evaluation: what a model says of companies that it has not seen, against what came of them."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.default_risk.errors import BadCompaniesFileError
from service.default_risk.model import Calibration
from service.default_risk.training.fitting import INNER_FOLDS, Fitted, calibrate, fit
from service.default_risk.training.labelled import Labelled

FOLDS: Final = 10
DECIMALS: Final = 6
_SEED: Final = 0
_SPLIT: Final = 0.6
"""Where rows are dated: the share of the rows, oldest first, after which tests begin."""


def folds(data: Labelled, number: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the rows to train on and the rows to test, `number` times; the same for the same data.

    One company is never on both sides. Where the rows are dated only later ones than all trained on are
    tested. Without companies each row is one, and each fold has its share of the defaults.
    """
    if data.companies is None:
        fold = np.empty(len(data.defaulted), np.intp)
        order = np.random.default_rng(_SEED).permutation(len(fold))
        for label in (0, 1):
            rows = order[data.defaulted[order] == label]
            fold[rows] = np.arange(len(rows)) % number
    else:
        fold = np.array([_fold_of(str(company), number) for company in data.companies])
    early = late = np.ones(len(fold), bool)
    if data.times is not None:
        ordered = np.sort(data.times)
        # Never the first time of all, before which there is nothing.
        begin = max(ordered[int(len(fold) * _SPLIT)], ordered[np.searchsorted(ordered, ordered[0], "right")])
        early, late = data.times < begin, data.times >= begin
    for each in range(number):
        yield np.flatnonzero((fold != each) & early), np.flatnonzero((fold == each) & late)


def out_of_fold(data: Labelled) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the rows that were tested, and the probability that a model without them gave each.

    Each of the ten models is calibrated inside of its own training rows. Raises BadCompaniesFileError where
    the split leaves nothing to learn from.
    """
    tested, said = [], []
    for train, test in folds(data, FOLDS):
        if not len(test):
            continue
        if len(set(data.defaulted[train].tolist())) == 1:
            raise BadCompaniesFileError(
                f"of the {len(train):,} companies to train a fold on all or none defaulted: "
                "more data is needed, or other columns for companies and times"
            )
        fitted, calibration = calibrated_fit(data, train)
        tested.append(test)
        said.append(probability(fitted, calibration, data, test))
    return np.concatenate(tested), np.concatenate(said)


def calibrated_fit(data: Labelled, rows: NDArray[np.intp]) -> tuple[Fitted, Calibration]:
    """Fit on some rows, and calibrate by what fits on parts of them say of the others of them."""
    part = data.of(rows)
    sums = np.empty(len(rows))
    seen = np.zeros(len(rows), bool)
    for train, test in folds(part, INNER_FOLDS):
        if len(test) and 0 < part.defaulted[train].sum() < len(train):
            sums[test] = fit(part, train).sums([column[test] for column in part.values])
            seen[test] = True
    return fit(data, rows), calibrate(sums[seen], part.defaulted[seen])


def probability(
    fitted: Fitted, calibration: Calibration, data: Labelled, rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the calibrated probability of some rows."""
    sums = fitted.sums([column[rows] for column in data.values])
    result: NDArray[np.float64] = 1 / (1 + np.exp(-(calibration.intercept + calibration.slope * sums)))
    return result


def measured(said: NDArray[np.float64], defaulted: NDArray[np.int8]) -> dict[str, Any]:
    """Return the metrics of probabilities: AUC, Brier score, ECE over ten bins of equal size, and the bins.

    AUC is the chance that a company that defaulted got the higher probability (ties count half); the Brier
    score is the mean squared error; ECE (expected calibration error) is the mean distance, over the bins,
    between what was said and what came.
    """
    bins = [
        {
            "rows": len(rows),
            "said": round(float(said[rows].mean()), DECIMALS),
            "came": round(float(defaulted[rows].mean()), DECIMALS),
        }
        for rows in np.array_split(np.argsort(said, kind="stable"), FOLDS)
    ]
    rate = float(defaulted.mean())
    return {
        "rows": len(said),
        "defaults": int(defaulted.sum()),
        "auc": round(auc(said, defaulted), DECIMALS),
        "brier": round(float(np.mean((said - defaulted) ** 2)), DECIMALS),
        "brier_of_the_base_rate": round(rate * (1 - rate), DECIMALS),
        "ece": round(
            sum(each["rows"] * abs(each["said"] - each["came"]) for each in bins) / len(said), DECIMALS
        ),
        "bins": bins,
    }


def auc(said: NDArray[np.float64], defaulted: NDArray[np.int8]) -> float:
    """Return the area under the ROC curve, by ranks (Mann and Whitney 1947)."""
    _, place, counts = np.unique(said, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]
    positive = int(defaulted.sum())
    negative = len(defaulted) - positive
    above = float(ranks[defaulted == 1].sum()) - positive * (positive + 1) / 2
    return above / (positive * negative)


def _fold_of(company: str, number: int) -> int:
    return int.from_bytes(hashlib.blake2b(company.encode(), digest_size=8).digest()) % number
