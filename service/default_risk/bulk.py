"""Bulk: every row of a file is scored, abstained on, a duplicate or invalid; batch after batch."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel
from service.default_risk.reading.companies import Companies
from service.default_risk.reasons import MOST_REASONS
from service.default_risk.scoring import Floats, Scores, level_codes, score
from service.domain.default_risk.job import RowOutcome
from service.domain.default_risk.prediction import why_abstained
from service.domain.default_risk.risk_level import RiskLevel

_DUPLICATE: Final = "the same company and period as an earlier row"
_CONTRIBUTION: Final = "_contribution"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredBatch:
    """A batch of companies with its scores."""

    results: Any
    """An Arrow table in the file's order, broken records last; only rows that are `scored` have a score."""
    values: tuple[Floats, ...]
    """For each ratio of the model, of each row that is no broken record."""
    periods: Sequence[bytes | None]
    """Of each of these rows its company and period in 16 bytes; None where it is invalid."""


class BulkScoring:
    """The scoring of one file; remembers which companies and periods it has had."""

    def __init__(self, model: RiskModel, thresholds: RiskThresholds) -> None:
        self.model = model
        self.thresholds = thresholds
        self.ledger: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self._seen: set[bytes] = set()

    def score(self, batches: Iterable[Companies]) -> Iterator[ScoredBatch]:
        """Yield each batch with its scores; the first row of a company and period counts."""
        return self.settle(score_batch(self.model, self.thresholds, companies) for companies in batches)

    def settle(self, batches: Iterable[ScoredBatch]) -> Iterator[ScoredBatch]:
        """Yield batches, in the file's order, with duplicates of earlier rows marked, and count all rows."""
        for batch in batches:
            duplicates = []
            for row, period in enumerate(batch.periods):
                if period in self._seen:
                    duplicates.append(row)
                elif period is not None:
                    self._seen.add(period)
            settled = replace(batch, results=_marked(batch.results, duplicates)) if duplicates else batch
            for counter, name in ((self.ledger, "outcome"), (self.levels, "risk_level")):
                counter.update(settled.results[name].drop_null().to_pylist())
            yield settled


def score_batch(model: RiskModel, thresholds: RiskThresholds, companies: Companies) -> ScoredBatch:
    """Score a batch as if no row of it had been there before: a pure function, wherever it is called."""
    scores = score(model, companies.values)
    problems = dict(companies.problems)
    outcomes = [RowOutcome.SCORED] * len(companies.numbers)
    names = [table.ratio.name for table in model.ratios]
    for row in np.flatnonzero(scores.abstained).tolist():
        outcomes[row] = RowOutcome.ABSTAINED
        absent = (name for name, is_so in zip(names, scores.missing[:, row], strict=True) if is_so)
        problems.setdefault(row, why_abstained(absent))
    for row in companies.problems:
        outcomes[row] = RowOutcome.INVALID
    return ScoredBatch(
        results=_results(model, thresholds, companies, scores, outcomes, problems),
        values=companies.values,
        periods=[
            None if row in companies.problems else _period(companies, row) for row in range(len(outcomes))
        ],
    )


def _period(companies: Companies, row: int) -> bytes:
    period = f"{companies.years[row]} {companies.quarters[row]} {companies.symbols[row]}"
    # A digest, since ten million texts would not fit.
    return blake2b(period.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _marked(results: Any, duplicates: Sequence[int]) -> Any:
    """Return results in which these rows are duplicates, and have no score."""
    mask = np.zeros(results.num_rows, bool)
    mask[list(duplicates)] = True
    said = {"outcome": str(RowOutcome.DUPLICATE), "problem": _DUPLICATE}
    columns = {}
    for name, column in zip(results.column_names, results.columns, strict=True):
        of_score = name in {"probability", "risk_level"} or name.startswith("reason_")
        if name in said or of_score or name.endswith(_CONTRIBUTION):
            column = pc.if_else(pa.array(mask), pa.scalar(said.get(name), column.type), column)  # noqa: PLW2901
        columns[name] = column
    return pa.table(columns)


def _results(
    model: RiskModel,
    thresholds: RiskThresholds,
    companies: Companies,
    scores: Scores,
    outcomes: Sequence[RowOutcome],
    problems: Mapping[int, str],
) -> Any:
    without = np.array([outcome is not RowOutcome.SCORED for outcome in outcomes], bool)
    count, extra = len(outcomes), len(companies.broken)
    names = pa.array([table.ratio.name for table in model.ratios])
    levels = level_codes(scores.probability, thresholds)
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
    for place in range(min(MOST_REASONS, len(model.ratios))):
        of = scores.order[:, place]
        amount = scores.contributions[of, np.arange(count)]
        nothing = without | ~(amount != 0)
        columns[f"reason_{place + 1}"] = _padded(names.take(pa.array(of, mask=nothing)), extra)
    for place, table in enumerate(model.ratios):
        name = f"{table.ratio.name}{_CONTRIBUTION}"
        columns[name] = _padded(pa.array(scores.contributions[place], mask=without), extra)
    for flag, flags in (("missing", scores.missing), ("clamped", scores.clamped)):
        columns[flag] = _padded(_flagged(names.to_pylist(), flags), extra)
    columns["problem"] = pa.array(
        [*(problems.get(row) for row in range(count)), *companies.broken.values()], pa.string()
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
