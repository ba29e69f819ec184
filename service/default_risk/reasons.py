"""Reasons: which ratios made a score what it is, in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from service.default_risk.model import RiskModel
from service.default_risk.ratios import Ratio

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
    model: RiskModel, values: Iterable[float], contributions: Iterable[float]
) -> tuple[list[Reason], float]:
    """Return the strongest reasons of one score, and the sum of all others."""
    return strongest(
        Reason(ratio=table.ratio, value=value, contribution=contribution)
        for table, value, contribution in zip(model.ratios, values, contributions, strict=True)
    )


def strongest(given: Iterable[Reason]) -> tuple[list[Reason], float]:
    """Return the strongest reasons, at most `MOST_REASONS`, and the sum of all others.

    What is missing, or says nothing either way, is no reason.
    """
    said = [reason for reason in given if reason.contribution != 0]
    said.sort(key=lambda reason: -abs(reason.contribution))
    return said[:MOST_REASONS], sum(reason.contribution for reason in said[MOST_REASONS:])
