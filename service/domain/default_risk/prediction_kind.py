"""What statements a prediction is made from; by itself, since every command line knows the choice."""

from enum import StrEnum


class PredictionKind(StrEnum):
    """What statements a prediction is made from."""

    ANNUAL = "annual"
    QUARTERLY = "quarterly"
