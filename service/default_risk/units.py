"""Units: what the percentages of a file are; free of NumPy, since the command line shows them."""

from enum import StrEnum


class Units(StrEnum):
    """What the percentages of a file are."""

    PERCENT = "percent"
    FRACTION = "fraction"
