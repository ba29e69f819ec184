"""Batches: scored companies become what is stored of a job in one transaction. Pure."""

import math
from collections.abc import Iterable, Iterator

from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel
from service.default_risk.predictor import assessments
from service.default_risk.reading.companies import Companies
from service.default_risk.scoring import score
from service.domain.default_risk.job import JobBatch, JobRow, RowOutcome
from service.domain.default_risk.prediction import NewPrediction, why_abstained


def batches(
    tables: Iterable[Companies], model: RiskModel, thresholds: RiskThresholds, *, next_row: int
) -> Iterator[JobBatch]:
    """Yield what is to be stored of a file's companies, from the record with the number `next_row` on."""
    for companies in tables:
        last = max((*companies.numbers[-1:], *companies.broken), default=0)
        if last < next_row:
            continue  # stored by whoever had the job before
        scores = score(model, companies.values)
        assessed = assessments(model, companies.values, scores, thresholds)
        predictions = []
        broken = ((number, why) for number, why in companies.broken.items() if number >= next_row)
        refused = [_refused(number, None, why) for number, why in broken]
        for row, number in enumerate(companies.numbers):
            if number < next_row:
                continue
            if (problem := companies.problems.get(row)) is not None:
                refused.append(_refused(number, companies.symbols[row] or None, problem))
                continue
            cap = companies.market_caps[row]
            new = NewPrediction(
                company_symbol=companies.symbols[row],
                company_name=companies.names[row] or None,
                sector=companies.sectors[row] or None,
                market_cap=None if math.isnan(cap) else cap,
                reporting_year=companies.years[row],
                reporting_quarter=companies.quarters[row],
                assessment=assessed[row],
            )
            predictions.append((number, new, _why_abstained(model, new)))
        yield JobBatch(predictions=predictions, refused=refused, next_row=last + 1)


def _refused(number: int, symbol: str | None, problem: str) -> JobRow:
    return JobRow(
        row=number,
        outcome=RowOutcome.INVALID,
        company_symbol=symbol,
        problem=problem,
        prediction_id=None,
    )


def _why_abstained(model: RiskModel, new: NewPrediction) -> str | None:
    if new.assessment.probability is not None:
        return None
    tables = zip(model.ratios, new.assessment.ratios, strict=True)
    missing = [table.ratio.name for table, value in tables if value is None]
    return why_abstained(missing)
