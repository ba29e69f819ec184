"""What a probability means for people; by itself, since the settings name the levels."""

from enum import StrEnum


class RiskLevel(StrEnum):
    """What a probability means for people."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
