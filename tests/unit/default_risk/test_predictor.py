"""The predictor: a statement by itself is scored as in a batch, and explained by what was written down."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.default_risk.errors import BadRatiosError
from service.default_risk.levels import RiskThresholds
from service.default_risk.model import logit
from service.default_risk.predictor import Predictor, assessments
from service.default_risk.scoring import score
from service.default_risk.values import Numbers
from service.domain.default_risk.prediction_kind import PredictionKind
from tests.support.companies import ANNUAL, columns
from tests.support.predictions import RATIOS, predictor_of

KIND = PredictionKind.ANNUAL
PREDICTOR = Predictor.shipped(prior=None, thresholds=RiskThresholds())
VALUES = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, 0.0, -0.0])
SPELLED = (
    *("", " ", "NM", " nm\t", "N/A", "-", "NaN", "-Infinity", "\u00a0na", None, np.inf, np.nan),
    *("12.5", " -7 ", "1e3", "1e999", "+.5", -0.0, 3, 0.1),
)
ROWS = st.lists(st.tuples(*[VALUES] * 5), min_size=1, max_size=12)


@given(ROWS)
def test_one_by_one_is_as_in_a_batch(rows: list[tuple[float, ...]]) -> None:
    """Bit by bit, with what was missing, clamped and abstained on."""
    model = PREDICTOR.model(KIND)
    values = columns([[value if np.isfinite(value) else np.nan for value in row] for row in rows])
    together = assessments(model, values, score(model, values), PREDICTOR.thresholds)
    batch = [together.at(place) for place in range(len(rows))]
    alone = [PREDICTOR.assess(KIND, dict(zip(ANNUAL, row, strict=True))) for row in rows]
    assert batch == alone
    for said in batch:
        assert (said.probability is None) == (said.risk_level is None) == (said.ratios.count(None) > 2)
        if said.probability is not None:
            total = said.intercept + sum(said.contributions)
            assert logit(said.probability) == pytest.approx(total, abs=1e-9)


@given(st.lists(st.sampled_from(SPELLED), min_size=5, max_size=5))
def test_a_statement_is_read_as_a_file_is(row: list[float | str | None]) -> None:
    """Whichever way a value, or that there is none, is spelled."""
    column = pa.array([None if value is None else str(value) for value in row], pa.string())
    as_in_a_file = [None if np.isnan(value) else value for value in Numbers.of(column).values.tolist()]
    assert list(PREDICTOR.assess(KIND, dict(zip(ANNUAL, row, strict=True))).ratios) == as_in_a_file


@given(ROWS)
def test_what_was_written_down_explains_itself(rows: list[tuple[float, ...]]) -> None:
    """Four reasons at most, strongest first, and the remainder: together all contributions."""
    for row in rows:
        said = PREDICTOR.assess(KIND, dict(zip(ANNUAL, row, strict=True)))
        told = PREDICTOR.explain(KIND, said)
        assert [*told.ratios] == ANNUAL
        assert (told.abstained is None) == (said.probability is not None)
        assert told.missing == tuple(name for name, value in told.ratios.items() if value is None)
        assert len(told.reasons) == min(4, sum(each != 0 for each in said.contributions))
        strongest = sorted((abs(each) for each in said.contributions), reverse=True)
        assert abs(told.remainder) == pytest.approx(sum(strongest[4:]))


@pytest.mark.parametrize("value", ["12,5", "twelve", "0x10", "1_000", "12 %"])
def test_what_is_no_number_is_named(value: Any) -> None:
    """Every such value of the statement, with why."""
    with pytest.raises(BadRatiosError) as refused:
        predictor_of().assess(KIND, RATIOS | {"net_income_margin": value, "return_on_assets": value})
    assert {*refused.value.problems} == {"net_income_margin", "return_on_assets"}
    assert repr(value) in refused.value.problems["net_income_margin"]


def test_the_level_is_by_the_exact_probability() -> None:
    """Not by the four decimals that are shown; up to and with a threshold it is the lower one."""
    plain = predictor_of().assess(KIND, RATIOS)
    assert plain.probability is not None
    for low, level in ((plain.probability, "LOW"), (plain.probability - 1e-9, "MEDIUM")):
        thresholds = RiskThresholds(low=low, medium=0.9)
        model = predictor_of().model(KIND)
        assert (
            Predictor({KIND: model}, prior=None, thresholds=thresholds).assess(KIND, RATIOS).risk_level
            == level
        )
