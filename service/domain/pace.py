"""The pace of a lane: whose turn comes when, and until when nothing may leave."""

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
