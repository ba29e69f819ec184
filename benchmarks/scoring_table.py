"""A child of the benchmark of scoring: prints how many companies a second of CPU the table scores."""

import sys
import time

import numpy as np

from service.default_risk.model_file import shipped_model
from service.default_risk.scoring import score
from service.domain.default_risk.prediction_kind import PredictionKind


def main() -> None:
    """Score random companies, three in a hundred ratios missing."""
    rows = int(sys.argv[1])
    random = np.random.default_rng(0)
    model = shipped_model(PredictionKind.ANNUAL)
    values = [random.normal(5, 30, rows) for _ in model.ratios]
    for column in values:
        column[random.random(rows) < 0.03] = np.nan
    score(model, [column[:1000] for column in values])
    started = time.process_time()
    score(model, values)
    print(rows / (time.process_time() - started))


if __name__ == "__main__":
    main()
