"""Misspelled settings: which names in the environment are meant to be ours, and which are others'. Pure."""

from collections.abc import Collection
from typing import Final

_LONG: Final = 12
"""Names of so many letters may be misspelled in two places; in shorter ones two letters make other words."""

_OTHERS: Final = frozenset({"AWS_ENDPOINT_URL", "SLACK_OAUTH_TOKEN"})
"""Variables of other programs that come as close as a misspelling would."""


def meant_by(name: str, names: Collection[str]) -> list[str]:
    """Return which of `names` was likely meant by one that is none of them; empty where none is near."""
    name = name.upper()
    if name in _OTHERS:
        return []
    distances = {
        each: distance
        for each in names
        if _may_be_near(name, each)
        and (distance := _distance(name, each)) <= (2 if len(each) >= _LONG else 1)
    }
    nearest = min(distances.values(), default=0)
    return sorted(each for each, distance in distances.items() if distance == nearest)


def _may_be_near(one: str, other: str) -> bool:
    """Whether two names can be two edits apart at most: cheap, since every variable meets every setting."""
    letters, others = set(one), set(other)
    return (
        abs(len(one) - len(other)) <= 2  # noqa: PLR2004  # edits
        and len(letters - others) <= 2  # noqa: PLR2004
        and len(others - letters) <= 2  # noqa: PLR2004
    )


def _distance(one: str, other: str) -> int:
    """Return how many letters are to be added, dropped, replaced or swapped with their neighbour."""
    before: list[int] = []
    row: list[int] = [*range(len(other) + 1)]
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            edits = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                edits = min(edits, last[j - 2] + 1)
            row.append(edits)
    return row[-1]
