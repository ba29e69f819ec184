"""Fitting: gradient boosting without interactions on binned ratios, exported as a table of points.

The trees see the number of a value's bin, not the value: the bins are cut at quantiles, rounded to figures
that a person can read. So the table holds exactly what the trees say, asked of them through their public
interface, bin by bin.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from service.default_risk.errors import TrainingNotInstalledError
from service.default_risk.model import Calibration, RatioPoints
from service.default_risk.ratios import Ratio, ratios_of
from service.default_risk.training.labelled import Labelled

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

BINS: Final = 40
"""At most so many bins a ratio: more only follow the noise, and nobody can read them."""
FIGURES: Final = 3
"""Significant figures of an edge."""
INNER_FOLDS: Final = 5
"""Folds by which a calibration is measured."""
_FOREST: Final = {
    "learning_rate": 0.1,
    "max_iter": 100,
    "max_leaf_nodes": 3,
    "min_samples_leaf": 100,
    "l2_regularization": 10.0,
    "early_stopping": False,
    "random_state": 0,
}
"""Cautious on purpose: defaults are few, and what is surest must not be surer than it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a fit found, before calibration."""

    ratios: tuple[RatioPoints, ...]
    intercept: float

    def sums(self, values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the uncalibrated log-odds of each company; a missing ratio adds nothing."""
        total = np.full(len(values[0]), self.intercept)
        for table, column in zip(self.ratios, values, strict=True):
            total += table.of(column)
        return total


def fit(data: Labelled, rows: NDArray[np.intp]) -> Fitted:
    """Fit on some rows of the data; raises TrainingNotInstalledError.

    Ratios that are missing are fitted as their median and score nothing at all: that a ratio is missing
    often gives the label away in data collected afterwards, and must not be learned.
    """
    columns = [column[rows] for column in data.values]
    ratios = ratios_of(data.kind)
    edges = [_edges(ratio, column) for ratio, column in zip(ratios, columns, strict=True)]
    bins = np.column_stack(
        [
            _bins(ratio, each, np.where(np.isnan(column), np.nanmedian(column), column))
            for ratio, each, column in zip(ratios, edges, columns, strict=True)
        ]
    )
    with one_thread():
        trees = fit_trees(bins, data.defaulted[rows], ratios)
        points, intercept = table_of(trees, [len(each) + 1 for each in edges])
    tables = []
    for place, ratio in enumerate(ratios):
        mean = float(points[place][bins[:, place].astype(np.intp)].mean())
        intercept += mean
        kept, merged = _merged(edges[place], points[place] - mean)
        present = columns[place][~np.isnan(columns[place])]
        tables.append(
            RatioPoints(
                ratio=ratio,
                edges=kept,
                points=merged,
                lowest=float(present.min()),
                highest=float(present.max()),
            )
        )
    return Fitted(ratios=tuple(tables), intercept=intercept)


def fit_trees(
    bins: NDArray[np.float64], defaulted: NDArray[np.int8], ratios: Sequence[Ratio]
) -> "HistGradientBoostingClassifier":
    """Return trees that use one ratio each, and never contradict finance; no classes are weighted."""
    boosting = _sklearn()
    trees = boosting(
        interaction_cst="no_interactions",
        monotonic_cst=[1 if ratio.riskier == "higher" else -1 for ratio in ratios],
        **_FOREST,
    )
    trees.fit(bins, defaulted)
    return trees


def table_of(
    trees: "HistGradientBoostingClassifier", sizes: Sequence[int]
) -> tuple[list[NDArray[np.float64]], float]:
    """Return what each bin of each ratio adds to the log-odds of bin 0 of all, and those log-odds.

    Exact, since no tree uses two ratios: what one adds does not depend on the others.
    """
    first = np.zeros((1, len(sizes)))
    base = float(trees.decision_function(first)[0])
    points = []
    for place, size in enumerate(sizes):
        asked = np.zeros((size, len(sizes)))
        asked[:, place] = np.arange(size)
        points.append(trees.decision_function(asked) - base)
    return points, base


def calibrate(sums: NDArray[np.float64], defaulted: NDArray[np.int8]) -> Calibration:
    """Return the slope and intercept by which held-out sums come true (Platt 1999), to six decimals.

    Raises TrainingNotInstalledError.
    """
    _sklearn()
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  # of the extra

    with one_thread():
        found = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(sums[:, None], defaulted)
    return Calibration(
        slope=round(float(found.coef_[0, 0]), 6), intercept=round(float(found.intercept_[0]), 6)
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Fit on one thread: the same sums in the same order, and many times faster where others work, too."""
    _sklearn()
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  # comes with scikit-learn

    with threadpool_limits(limits=1):
        yield


def _sklearn() -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  # of the extra, and slow
    except ImportError:
        raise TrainingNotInstalledError(
            "training needs scikit-learn: install the extra `train` (pip install 'risk-alerts[train]')"
        ) from None
    return HistGradientBoostingClassifier


def _edges(ratio: Ratio, column: NDArray[np.float64]) -> NDArray[np.float64]:
    inputs = ratio.inputs(column[~np.isnan(column)])
    inputs = inputs[np.isfinite(inputs)]
    cuts = np.quantile(inputs, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.unique([float(f"{cut:.{FIGURES}g}") for cut in cuts])


def _bins(ratio: Ratio, edges: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
    bins: NDArray[np.float64] = np.searchsorted(edges, ratio.inputs(column), side="left").astype(np.float64)
    return bins


def _merged(
    edges: NDArray[np.float64], points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the same table without edges at which nothing changes."""
    changes = np.diff(points) != 0
    return edges[changes], points[np.concatenate(([True], changes))]
