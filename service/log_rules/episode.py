"""The episode: violations of one rule by one group that follow each other closely. Pure."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Instants: TypeAlias = npt.NDArray[np.int64]
"""Microseconds since 1970, or other whole numbers beside them."""

Numbers: TypeAlias = npt.NDArray[Any]
"""Small whole numbers of any width, one for each row, such as places in a list."""
Mask: TypeAlias = npt.NDArray[np.bool_]

GroupKey: TypeAlias = tuple[str, ...]
"""The values of the columns that a rule groups by; empty where a value is missing."""

EPISODE: Final = np.dtype(
    [
        *((name, "i8") for name in ("group", "onset", "start", "last", "peak", "peak_at", "events")),
        *(("violations", "i8"), ("known_until", "i8"), ("continued", "?"), ("is_minimum", "?")),
    ]
)
"""Many episodes at once; `known_until`: its last violation when this run began, else its start."""
Episodes: TypeAlias = npt.NDArray[Any]
"""Of `EPISODE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A maximal chain of violating instants, each less than `quiet` after the one before. Instants are µs."""

    group: tuple[str, ...]
    onset: int
    """The first event of the window of the first violation."""
    start: int
    """The first violation: part of the episode's identity."""
    last: int
    """The last violation so far."""
    peak: int
    """The most events in a window."""
    peak_at: int
    """The first instant with so many."""
    events: int
    """All matching events from `onset` to `last`."""
    violations: int
    """Instants at which the window held too many."""
    known_until: int
    """Its last violation when this run began; its start where it began in this run."""
    continued: bool
    """Whether it began in an earlier run."""
    is_minimum: bool
    """Whether it may have begun earlier: the rows before this run are not known."""

    def reminders(self, repeat_us: int | None) -> range:
        """Return the numbers of the reminders that are due in this run."""
        if repeat_us is None:
            return range(0)
        before = (self.known_until - self.start) // repeat_us
        return range(before + 1, (self.last - self.start) // repeat_us + 1)


def alerts_due(episodes: Episodes, repeat_us: int | None) -> int:
    """Return how many alerts episodes are in this run: those that began in it, and their reminders."""
    began = int(np.count_nonzero(~episodes["continued"]))
    if repeat_us is None:
        return began
    lasted, known = episodes["last"] - episodes["start"], episodes["known_until"] - episodes["start"]
    return began + int((lasted // repeat_us - known // repeat_us).sum())


def no_episodes() -> Episodes:
    """Return none, in columns."""
    return np.zeros(0, EPISODE)
