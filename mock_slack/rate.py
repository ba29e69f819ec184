"""The rate limit: Slack's "one message per second per channel"."""

from collections.abc import Callable

# A sender that paces by its own timer is let through this early, seconds.
TOLERANCE_S = 0.05


class RateLimit:
    """Spaces each channel's messages evenly.

    An early message (within the tolerance) moves no later one forward, so a sender cannot exceed the rate for
    long.
    """

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._clock = clock
        self._due: dict[str, float] = {}

    def wait_s(self, channel: str) -> float:
        """Take the channel's turn and return 0, or leave it and return the seconds until the turn comes."""
        if not self._interval:
            return 0.0
        now = self._clock()
        due = self._due.get(channel, now)
        if now < due - TOLERANCE_S:
            return due - now
        self._due[channel] = max(due, now) + self._interval
        return 0.0
