"""Scoring: what adds up, what is monotone, what is missing, and what does not depend on the batch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.default_risk.levels import RiskThresholds
from service.default_risk.model import logit, with_prior
from service.default_risk.model_file import shipped_model
from service.default_risk.reasons import MOST_REASONS, reasons
from service.default_risk.scoring import AT_ONCE, score
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from tests.support.companies import columns, small_model

VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0])
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES, VALUES), min_size=1, max_size=20)
MODEL = shipped_model(PredictionKind.ANNUAL)


@given(ROWS)
def test_contributions_add_up_to_the_log_odds(rows: list[tuple[float, ...]]) -> None:
    """Base plus contributions is the logit of the probability, to 1e-9, for whatever is scored."""
    scores = score(MODEL, columns(rows))
    for row in np.flatnonzero(~scores.abstained):
        total = MODEL.base + scores.contributions[:, row].sum()
        assert total == pytest.approx(scores.log_odds[row], abs=1e-9)
        assert logit(float(scores.probability[row])) == pytest.approx(total, abs=1e-9)


@given(ROWS, st.integers(0, 4), st.floats(0, 1e5))
def test_what_is_worse_for_finance_is_never_better_for_the_score(
    rows: list[tuple[float, ...]], place: int, worse: float
) -> None:
    """A ratio that moves the risky way never lowers the probability; debt to EBITDA moves by its inverse."""
    before = columns(rows)
    after = [column.copy() for column in before]
    ratio = MODEL.ratios[place].ratio
    if ratio.inverted:
        # More debt for the same positive EBITDA.
        before[place] = np.abs(before[place])
        after[place] = before[place] + worse
    else:
        after[place] = before[place] + (worse if ratio.riskier == "higher" else -worse)
    said = score(MODEL, before), score(MODEL, after)
    counted = ~said[0].abstained & ~said[1].abstained & (said[0].missing == said[1].missing).all(axis=0)
    assert (said[1].probability[counted] >= said[0].probability[counted]).all()


@pytest.mark.parametrize("kind", [*PredictionKind])
def test_negative_ebitda_is_riskier_than_any_debt(kind: PredictionKind) -> None:
    """Debt to EBITDA of -3 is not a low debt: it is scored, and worse than 60 times."""
    model = shipped_model(kind)
    place = [table.ratio.name for table in model.ratios].index("total_debt_to_ebitda")
    rows = np.full((3, len(model.ratios)), 5.0)
    rows[:, place] = [-3.0, 60.0, 1.0]
    negative, much, little = score(model, columns(rows.tolist())).probability
    assert negative > much > little


@given(ROWS)
def test_neither_order_nor_batch_changes_a_score(rows: list[tuple[float, ...]]) -> None:
    """A company's score is its own, whoever else is scored with it."""
    whole = score(MODEL, columns(rows))
    for place, row in enumerate(rows):
        alone = score(MODEL, columns([row]))
        assert alone.probability.tobytes() == whole.probability[place : place + 1].tobytes()
        assert (alone.order[0] == whole.order[place]).all()


def test_rows_beyond_one_piece_are_scored_alike() -> None:
    """What is scored in pieces has no seam."""
    rows = [(float(place % 97), 2.0, float(place % 13), 3.0, 4.0) for place in range(AT_ONCE + 5)]
    whole = score(MODEL, columns(rows))
    assert (whole.probability[AT_ONCE:] == score(MODEL, columns(rows[AT_ONCE:])).probability).all()


@pytest.mark.parametrize(("missing", "abstains"), [(2, False), (3, True)])
def test_too_many_missing_ratios_are_no_score(missing: int, *, abstains: bool) -> None:
    """Of five ratios two may be missing; what is missing adds nothing and is flagged."""
    row = [math.nan] * missing + [10.0] * (5 - missing)
    scores = score(small_model(), columns([row]))
    assert scores.missing[:, 0].tolist() == [True] * missing + [False] * (5 - missing)
    assert bool(scores.abstained[0]) is abstains
    assert math.isnan(scores.probability[0]) is abstains
    if not abstains:
        assert (scores.contributions[:missing, 0] == 0).all()


def test_one_of_four_quarterly_ratios_may_be_missing() -> None:
    """A quarterly model abstains from two on."""
    model = shipped_model(PredictionKind.QUARTERLY)
    scores = score(model, columns([(math.nan, 1.0, 1.0, 1.0), (math.nan, math.nan, 1.0, 1.0)]))
    assert scores.abstained.tolist() == [False, True]


def test_values_beyond_the_training_data_count_like_the_nearest_and_are_flagged() -> None:
    """No value is refused for being extreme: margins beyond 100 % are real."""
    model = small_model()
    inside, outside = score(model, columns([(200.0, 1, 1, 1, 1)])), score(model, columns([(9e9, 1, 1, 1, 1)]))
    assert inside.probability == outside.probability
    assert outside.clamped[:, 0].tolist() == [True, False, False, False, False]
    assert not inside.clamped.any()


@pytest.mark.parametrize(
    ("probability", "level"),
    [
        (0.2, RiskLevel.LOW),
        (0.2000001, RiskLevel.MEDIUM),
        (0.5, RiskLevel.MEDIUM),
        (0.50004, RiskLevel.HIGH),
    ],
)
def test_levels_are_of_the_exact_probability(probability: float, level: RiskLevel) -> None:
    """What is shown as 0.5000 may be HIGH."""
    assert RiskThresholds.parse("0.2,0.5").level(probability) is level


@pytest.mark.parametrize("text", ["", "0.5", "0.5,0.2", "0,0.5", "0.2,1", "a,b", "0.1,0.2,0.3", "nan,0.5"])
def test_thresholds_are_two_probabilities_in_order(text: str) -> None:
    """Everything else is refused."""
    with pytest.raises(ValueError, match="two probabilities"):
        RiskThresholds.parse(text)


def test_reasons_are_the_strongest_contributions_in_words() -> None:
    """At most four, largest first, and the sum of the others."""
    model = small_model()
    values = columns([(90.0, -2.0, -10.0, -1.0, -5.0)])
    scores = score(model, values)
    named, remainder = reasons(model, [float(column[0]) for column in values], scores.contributions[:, 0])
    assert [reason.words for reason in named] == [
        "return on assets of -5.0 % raises the risk (+4.05)",
        "EBIT to interest expense of -1.0 x raises the risk (+3.15)",
        "net income margin of -10.0 % raises the risk (+2.25)",
        "total debt to EBITDA of -2.0 x raises the risk (+1.35)",
    ]
    assert len(named) == MOST_REASONS
    assert remainder == pytest.approx(0.45)


def test_another_share_of_defaults_moves_the_odds_and_no_reason() -> None:
    """PRIOR multiplies every company's odds by one factor (Bayes's rule)."""
    model = small_model()
    moved = with_prior(model, 0.01)
    values = columns([(10.0, 1, 1, 1, 1), (90.0, -2, -10, -1, -5)])
    before, after = score(model, values), score(moved, values)
    assert (before.contributions == after.contributions).all()
    assert after.log_odds - before.log_odds == pytest.approx(logit(0.01) - logit(0.1))
    with pytest.raises(ValueError, match="between 0 and 1"):
        with_prior(model, 1.0)
