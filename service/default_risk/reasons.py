"""Reasons: which ratios made a score what it is, in words."""

from collections.abc import Iterable, Sequence
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
    """Return the strongest reasons of one score, and the sum of all others; none where it is no score."""
    if scores.abstained[row]:
        return [], 0.0
    return strongest(
        Reason(
            ratio=table.ratio,
            value=float(values[place][row]),
            contribution=float(scores.contributions[place, row]),
        )
        for place, table in enumerate(model.ratios)
    )


def strongest(given: Iterable[Reason]) -> tuple[list[Reason], float]:
    """Return the strongest reasons, at most `MOST_REASONS`, and the sum of all others.

    What is missing, or says nothing either way, is no reason.
    """
    said = [reason for reason in given if reason.contribution != 0]
    said.sort(key=lambda reason: -abs(reason.contribution))
    return said[:MOST_REASONS], sum(reason.contribution for reason in said[MOST_REASONS:])
