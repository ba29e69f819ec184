"""Batches: scored companies become what is stored of a job in one transaction. Pure."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel
from service.default_risk.predictor import assessments
from service.default_risk.reading.companies import Companies
from service.default_risk.scoring import Scores, score
from service.domain.default_risk.job import JobBatch, JobRow, RowOutcome
from service.domain.default_risk.prediction import NewPredictions, why_abstained


def batches(
    tables: Iterable[Companies], model: RiskModel, thresholds: RiskThresholds, *, next_row: int
) -> Iterator[JobBatch]:
    """Yield what is to be stored of a file's companies, from the record with the number `next_row` on."""
    for every in tables:
        last = max((*every.numbers[-1:], *every.broken), default=0)
        if last < next_row:
            continue  # stored by whoever had the job before
        refused = [
            *(_refused(number, None, why) for number, why in every.broken.items()),
            *(
                _refused(every.numbers[row], every.symbols[row] or None, why)
                for row, why in every.problems.items()
            ),
        ]
        good = every.without_problems(next_row)
        scores = score(model, good.values)
        caps = good.market_caps.astype(object)
        caps[np.isnan(good.market_caps)] = None
        yield JobBatch(
            numbers=good.numbers,
            predictions=NewPredictions(
                company_symbol=good.symbols,
                company_name=[name or None for name in good.names],
                sector=[sector or None for sector in good.sectors],
                market_cap=caps.tolist(),
                reporting_year=good.years,
                reporting_quarter=good.quarters,
                assessments=assessments(model, good.values, scores, thresholds),
            ),
            abstained=_abstained(model, scores),
            refused=[row for row in refused if row.row >= next_row],
            next_row=last + 1,
        )


def _refused(number: int, symbol: str | None, problem: str) -> JobRow:
    return JobRow(
        row=number,
        outcome=RowOutcome.INVALID,
        company_symbol=symbol,
        problem=problem,
        prediction_id=None,
    )


def _abstained(model: RiskModel, scores: Scores) -> Mapping[int, str]:
    names = np.array([table.ratio.name for table in model.ratios])
    rows = np.flatnonzero(scores.abstained).tolist()
    return {row: why_abstained(names[scores.missing[:, row]].tolist()) for row in rows}
