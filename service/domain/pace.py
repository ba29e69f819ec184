"""The pace of a lane: whose turn comes when, until when nothing may leave, and how long a failure waits."""

import math
from dataclasses import dataclass
from typing import Final

LATENESS_MADE_UP_S: Final = 0.02
"""A turn taken late by a timer does not delay the turns after it, up to this much."""

CLOCK_SLACK_S: Final = 1.0
"""A clock that is corrected by less than this is believed all the same."""


def due_unless_possible(moment: float, *, now: float, longest_s: float) -> float:
    """Return a moment that was booked at most `longest_s` ahead; one that lies further ahead is due.

    It was booked before the clock was put back, and would be waited for as long as the clock was put back by.
    """
    return moment if moment <= now + longest_s + CLOCK_SLACK_S else -math.inf


BACKOFF_BASE_S: Final = 1.0
BACKOFF_CAP_S: Final = 60.0
BACKOFF_SPREAD: Final = 0.25
"""A retry waits up to a quarter longer than its curve says, so that many do not come back at once."""
LONGEST_BACKOFF_S: Final = BACKOFF_CAP_S * (1 + BACKOFF_SPREAD)


@dataclass(slots=True, kw_only=True)
class Pace:
    """When the next message may leave; all moments are seconds of one clock."""

    interval: float
    """Seconds between two messages; 0 is unpaced."""
    next_turn: float = -math.inf
    paused_until: float = -math.inf

    @property
    def turn(self) -> float:
        """When the next message may leave, as far as the lane is concerned."""
        return max(self.next_turn, self.paused_until)

    def take_turn(self, now: float) -> None:
        """Book the turn that a message leaving now uses up."""
        self.next_turn = max(self.next_turn, now - LATENESS_MADE_UP_S) + self.interval


def backoff_s(retry: int, *, jitter: float) -> float:
    """Return the seconds before the `retry`-th retry (from 1): 1, 2, 4, … up to a cap, plus jitter."""
    doublings = min(retry - 1, 100)  # an outage may last for thousands of them
    return min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0**doublings) * (1 + BACKOFF_SPREAD * jitter)
