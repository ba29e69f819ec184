"""Bulk: every row of a file is scored, abstained on, a duplicate or invalid; batch after batch."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel
from service.default_risk.reading.companies import Companies
from service.default_risk.reasons import MOST_REASONS
from service.default_risk.scoring import Scores, level_codes, score
from service.domain.default_risk.job import RowOutcome
from service.domain.default_risk.prediction import RiskLevel, why_abstained


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCompanies:
    """One batch of companies with its scores; only rows with the outcome `scored` have one that counts."""

    companies: Companies
    scores: Scores
    outcomes: list[RowOutcome]
    problems: dict[int, str]
    """By row, for those that are not scored."""


class BulkScoring:
    """Scores the batches of one file; remembers which companies and periods it has had."""

    def __init__(self, model: RiskModel, thresholds: RiskThresholds) -> None:
        self.model = model
        self.thresholds = thresholds
        self.ledger: Counter[str] = Counter()
        self.levels: Counter[RiskLevel] = Counter()
        self._seen: set[bytes] = set()

    def score(self, batches: Iterable[Companies]) -> Iterator[ScoredCompanies]:
        """Yield each batch with its scores; the first row of a company and period counts."""
        for companies in batches:
            scores = score(self.model, companies.values)
            problems = dict(companies.problems)
            outcomes = [RowOutcome.SCORED] * len(companies.numbers)
            for row in range(len(outcomes)):
                outcomes[row] = self._outcome(companies, scores, row, problems)
            self.ledger.update(outcomes)
            self.ledger[RowOutcome.INVALID] += len(companies.broken)
            good = np.array([outcome is RowOutcome.SCORED for outcome in outcomes], bool)
            probability = scores.probability[good]
            high = int((probability > self.thresholds.medium).sum())
            low = int((probability <= self.thresholds.low).sum())
            self.levels.update(
                {RiskLevel.HIGH: high, RiskLevel.LOW: low, RiskLevel.MEDIUM: len(probability) - high - low}
            )
            yield ScoredCompanies(companies=companies, scores=scores, outcomes=outcomes, problems=problems)

    def _outcome(
        self, companies: Companies, scores: Scores, row: int, problems: dict[int, str]
    ) -> RowOutcome:
        if row in problems:
            return RowOutcome.INVALID
        period = f"{companies.years[row]} {companies.quarters[row]} {companies.symbols[row]}"
        # A digest, since ten million texts would not fit.
        key = blake2b(period.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key in self._seen:
            problems[row] = "the same company and period as an earlier row"
            return RowOutcome.DUPLICATE
        self._seen.add(key)
        if scores.abstained[row]:
            absent = [
                table.ratio.name
                for table, is_missing in zip(self.model.ratios, scores.missing[:, row], strict=True)
                if is_missing
            ]
            problems[row] = why_abstained(absent)
            return RowOutcome.ABSTAINED
        return RowOutcome.SCORED


def results_table(scoring: BulkScoring, batch: ScoredCompanies) -> Any:
    """Return a batch as an Arrow table, in the file's order, broken records last."""
    companies, scores = batch.companies, batch.scores
    outcomes = batch.outcomes
    without = np.array([outcome is not RowOutcome.SCORED for outcome in outcomes], bool)
    count, extra = len(outcomes), len(companies.broken)
    names = pa.array([table.ratio.name for table in scoring.model.ratios])
    levels = level_codes(scores.probability, scoring.thresholds)
    level = pa.array([*RiskLevel]).take(pa.array(levels, mask=without))
    columns: dict[str, Any] = {
        "row": pa.array([*companies.numbers, *companies.broken], pa.int64()),
        "company_symbol": _texts(companies.symbols, extra),
        "company_name": _texts(companies.names, extra),
        "reporting_year": pa.array(
            [*(year or None for year in companies.years), *[None] * extra], pa.int32()
        ),
        "reporting_quarter": pa.array(
            [*(f"Q{quarter}" if quarter else None for quarter in companies.quarters), *[None] * extra],
            pa.string(),
        ),
        "outcome": pa.array([*outcomes, *[RowOutcome.INVALID] * extra], pa.string()),
        "probability": _padded(pa.array(scores.probability, mask=without), extra),
        "risk_level": _padded(level, extra),
    }
    for place in range(min(MOST_REASONS, len(scoring.model.ratios))):
        of = scores.order[:, place]
        amount = scores.contributions[of, np.arange(count)]
        nothing = without | ~(amount != 0)
        columns[f"reason_{place + 1}"] = _padded(names.take(pa.array(of, mask=nothing)), extra)
    for place, table in enumerate(scoring.model.ratios):
        name = f"{table.ratio.name}_contribution"
        columns[name] = _padded(pa.array(scores.contributions[place], mask=without), extra)
    for flag, flags in (("missing", scores.missing), ("clamped", scores.clamped)):
        columns[flag] = _padded(_flagged(names.to_pylist(), flags), extra)
    columns["problem"] = pa.array(
        [*(batch.problems.get(row) for row in range(count)), *companies.broken.values()], pa.string()
    )
    return pa.table(columns)


def _flagged(names: list[str], flags: Any) -> Any:
    """Return, for each row, the names of the ratios that are flagged; there are few different sets."""
    codes = (flags * (1 << np.arange(len(names)))[:, None]).sum(axis=0)
    known = [
        ", ".join(name for place, name in enumerate(names) if code >> place & 1) or None
        for code in range(1 << len(names))
    ]
    return pa.array(known, pa.string()).take(pa.array(codes))


def _texts(values: Any, extra: int) -> Any:
    return pa.array([*(value or None for value in values), *[None] * extra], pa.string())


def _padded(column: Any, extra: int) -> Any:
    return pa.concat_arrays([column, pa.nulls(extra, column.type)]) if extra else column
