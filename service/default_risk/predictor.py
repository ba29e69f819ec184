"""The predictor: statements are scored one by one, or in batches, with the models of this process."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.default_risk.errors import BadModelError, BadRatiosError, ModelUnusableError
from service.default_risk.integrity.checksum import SHIPPED
from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel, with_prior
from service.default_risk.model_file import model_bytes, parse_model, shipped_model
from service.default_risk.ratios import RATIOS, ratios_of
from service.default_risk.reasons import Reason, strongest
from service.default_risk.scoring import Flags, Floats, Scores, level_codes, score
from service.default_risk.values import MISSING, NEGATIVE, Numbers
from service.domain.default_risk.prediction import Assessment, Assessments, ModelRecord, why_abstained
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from service.store.default_risk.models import Models

_LEVELS: Final = np.array([*RiskLevel], object)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What stands in a prediction, by name and in words."""

    ratios: Mapping[str, float | None]
    contributions: Mapping[str, float]
    """In log-odds; none where the model abstained."""
    reasons: tuple[str, ...]
    """The strongest, at most `MOST_REASONS`."""
    remainder: float
    """What all other ratios contribute, in log-odds."""
    missing: tuple[str, ...]
    """The ratios that are."""
    abstained: str | None
    """Why there is no probability, where there is none."""


class Predictor:
    """The models of a process, by kind, as its settings have them."""

    def __init__(
        self,
        models: Mapping[PredictionKind, RiskModel],
        *,
        prior: float | None,
        thresholds: RiskThresholds,
        unusable: Mapping[PredictionKind, str] | None = None,
    ) -> None:
        self._records = {kind: record_of(model) for kind, model in models.items()}
        self._models = {
            kind: model if prior is None else with_prior(model, prior) for kind, model in models.items()
        }
        self.thresholds = thresholds
        self._given = models
        self._unusable = unusable or {}
        """By kind: why there is no model."""
        self._prior = prior
        self._current: tuple[Mapping[PredictionKind, str], Predictor] = ({}, self)
        self.ratios = frozenset(RATIOS)
        """Of whatever kind."""

    @classmethod
    def shipped(cls, *, prior: float | None, thresholds: RiskThresholds, folder: Path = SHIPPED) -> Self:
        """Return one with the models that come with this service; a damaged one is missed when needed."""
        models, unusable = {}, {}
        for kind in PredictionKind:
            try:
                models[kind] = shipped_model(kind, folder)
            except BadModelError as problem:
                unusable[kind] = problem.detail
        return cls(models, prior=prior, thresholds=thresholds, unusable=unusable)

    async def current(self, activated: Models) -> "Predictor":
        """Return it with the models that are active now in the place of its own.

        Each is loaded once, and its checksum verified; one that is damaged is missed when it is needed.
        """
        active = {kind: each.sha256 for kind, each in (await activated.active()).items()}
        if active != self._current[0]:
            models, unusable = dict(self._given), dict(self._unusable)
            for kind, sha256 in active.items():
                unusable.pop(kind, None)
                try:
                    models[kind] = parse_model(await activated.content(sha256), f"{kind} model", sha256)
                except (BadModelError, LookupError) as problem:
                    unusable[kind] = str(problem)
            current = Predictor(models, prior=self._prior, thresholds=self.thresholds, unusable=unusable)
            self._current = active, current
        return self._current[1]

    def model(self, kind: PredictionKind) -> RiskModel:
        """Return the model that statements of a kind are scored with, moved to the prior of the settings.

        Raises ModelUnusableError.
        """
        if kind in self._unusable:
            raise ModelUnusableError(
                f"the {kind} model cannot be used: {self._unusable[kind]}: activate another"
            )
        return self._models[kind]

    def record(self, kind: PredictionKind) -> ModelRecord:
        """Return what is kept of that model beside predictions; raises ModelUnusableError."""
        self.model(kind)
        return self._records[kind]

    def assess(self, kind: PredictionKind, given: Mapping[str, float | str | None]) -> Assessment:
        """Score one statement; its values are read as those of files are.

        Raises BadRatiosError, which names every value that is neither a number nor missing, and
        ModelUnusableError.
        """
        model = self.model(kind)
        values = _read({table.ratio.name: given.get(table.ratio.name) for table in model.ratios})
        return assessments(model, values, score(model, values), self.thresholds).at(0)

    def market_cap(self, given: float | str | None) -> float | None:
        """Read a market capitalisation, as those of files are; None: missing. Raises BadRatiosError."""
        (value,) = _read({"market_cap": given})[0].tolist()
        if value < 0:
            raise BadRatiosError({"market_cap": NEGATIVE})
        return None if math.isnan(value) else float(value)

    def explain(self, kind: PredictionKind, assessment: Assessment) -> Explanation:
        """Say a prediction in words, whichever model it was made with."""
        ratios = ratios_of(kind)
        by_name = {ratio.name: value for ratio, value in zip(ratios, assessment.ratios, strict=True)}
        missing = tuple(name for name, value in by_name.items() if value is None)
        contributions = dict(zip(by_name, assessment.contributions, strict=False))
        named, remainder = strongest(
            Reason(ratio=ratio, value=value, contribution=contributions[ratio.name])
            for ratio in ratios
            if contributions and (value := by_name[ratio.name]) is not None
        )
        is_score = assessment.probability is not None
        return Explanation(
            ratios=by_name,
            contributions=contributions,
            reasons=tuple(reason.words for reason in named),
            remainder=remainder,
            missing=missing,
            abstained=None if is_score else why_abstained(missing),
        )


def _read(given: Mapping[str, float | str | None]) -> list[Floats]:
    """Return each value as an array of one; texts are read as those of files are.

    Numbers, and the usual words for a missing one, need no Arrow array, which takes as long as to score.
    """
    texts = {
        name: value
        for name, value in given.items()
        if isinstance(value, str) and value.lower() not in MISSING
    }
    found = {
        name: None if isinstance(value, str) else value for name, value in given.items() if name not in texts
    }
    if texts:
        numbers = Numbers.of(pa.array([*texts.values()]))
        if numbers.problems:
            names = [*texts]
            raise BadRatiosError({names[row]: problem for row, problem in numbers.problems.items()})
        found |= dict(zip(texts, numbers.values.tolist(), strict=True))
    return [np.array([_finite(found[name])]) for name in given]


def _finite(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else float(value)


def record_of(model: RiskModel) -> ModelRecord:
    """Return what is kept of a model, which no prior has moved, beside predictions."""
    return ModelRecord(
        sha256=model.sha256,
        kind=model.kind,
        name=model.name,
        horizon=model.horizon,
        trained_on=model.trained_on.title,
        content=model_bytes(model),
    )


def assessments(
    model: RiskModel, values: Sequence[Floats], scores: Scores, thresholds: RiskThresholds
) -> Assessments:
    """Return what was said of the rows of a batch, as it is written down."""
    contributions = scores.contributions.T.tolist()
    abstained = np.flatnonzero(scores.abstained).tolist()
    for row in abstained:
        contributions[row] = ()
    levels = _LEVELS[level_codes(scores.probability, thresholds)]
    return Assessments(
        prior=model.prior,
        intercept=model.base,
        probability=_without(scores.probability, scores.abstained),
        risk_level=_without(levels, scores.abstained),
        ratios=_without(np.array(values).T, scores.missing.T),
        contributions=contributions,
        clamped=flagged([table.ratio.name for table in model.ratios], scores.clamped),
    )


def _without(values: NDArray[Any], absent: Flags) -> list[Any]:
    """Return values, but None for those that are absent."""
    given = values.astype(object)
    given[absent] = None
    plain: list[Any] = given.tolist()
    return plain


def flagged(names: Sequence[str], flags: Flags) -> list[tuple[str, ...]]:
    """Return, for each row, the names of the ratios that are flagged (k, n); there are few different sets."""
    codes = (flags * (1 << np.arange(len(names)))[:, None]).sum(axis=0)
    sets = {
        code: tuple(name for place, name in enumerate(names) if code >> place & 1)
        for code in {*codes.tolist()}
    }
    return [sets[code] for code in codes.tolist()]
