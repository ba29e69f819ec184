"""Risk levels: LOW, MEDIUM or HIGH, by two thresholds on the exact probability."""

from dataclasses import dataclass
from typing import Self

from service.domain.default_risk.risk_level import RiskLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskThresholds:
    """LOW up to and with `low`, MEDIUM up to and with `medium`, then HIGH."""

    low: float = 0.2
    medium: float = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError where they are not two probabilities in order."""
        if not 0 < self.low < self.medium < 1:
            raise ValueError("must be two probabilities between 0 and 1, the smaller first, such as 0.2,0.5")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `0.2,0.5`; raises ValueError."""
        try:
            low, medium = (float(part) for part in text.split(","))
        except ValueError:
            low = medium = 0.0
        return cls(low=low, medium=medium)

    def level(self, probability: float) -> RiskLevel:
        """Return the level of one probability."""
        if probability > self.medium:
            return RiskLevel.HIGH
        return RiskLevel.MEDIUM if probability > self.low else RiskLevel.LOW
