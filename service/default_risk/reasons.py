"""Reasons: which ratios made a score what it is, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.default_risk.model import RiskModel
from service.default_risk.ratios import Ratio
from service.default_risk.scoring import Floats, Scores

MOST_REASONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What one ratio did to the score."""

    ratio: Ratio
    value: float
    contribution: float
    """In log-odds, against the average company of the training data."""

    @property
    def words(self) -> str:
        """The reason as one phrase: `net income margin of -12.3 % raises the risk (+0.84)`."""
        does = "raises" if self.contribution > 0 else "lowers"
        value = self.ratio.shown(self.value)
        return f"{self.ratio.label} of {value} {does} the risk ({self.contribution:+.2f})"


def reasons(
    model: RiskModel, values: Sequence[Floats], scores: Scores, row: int
) -> tuple[list[Reason], float]:
    """Return the strongest reasons of one score, at most `MOST_REASONS`, and the sum of all others.

    What is missing, or says nothing either way, is no reason; where the model abstained there is none.
    """
    if scores.abstained[row]:
        return [], 0.0
    named = [
        Reason(
            ratio=model.ratios[place].ratio,
            value=float(values[place][row]),
            contribution=float(scores.contributions[place, row]),
        )
        for place in scores.order[row]
        if scores.contributions[place, row] != 0
    ]
    return named[:MOST_REASONS], sum(reason.contribution for reason in named[MOST_REASONS:])
