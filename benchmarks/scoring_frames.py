"""A child of the benchmark of scoring: prints how many companies a second of CPU a DataFrame a row scores."""

import os
import time

# One thread, as the other side has; more of them only make one row slower.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd

from service.default_risk.ratios import ratios_of
from service.default_risk.training.fitting import fit_trees
from service.domain.default_risk.prediction_kind import PredictionKind

ROWS = 200


def main() -> None:
    """Ask an estimator of the same kind for one company after the other."""
    random = np.random.default_rng(0)
    ratios = ratios_of(PredictionKind.ANNUAL)
    bins = random.integers(0, 40, (5_000, len(ratios))).astype(float)
    trees = fit_trees(bins, (random.random(5_000) < 0.1).astype(np.int8), ratios)
    started = time.process_time()
    for row in bins[:ROWS]:
        frame = pd.DataFrame([dict(zip((ratio.name for ratio in ratios), row, strict=True))])
        trees.predict_proba(frame.to_numpy())
    print(ROWS / (time.process_time() - started))


if __name__ == "__main__":
    main()
