"""Clocks for tests: time that is made up, and time that passes faster."""

import asyncio
import math
import random
import time
from datetime import UTC, datetime, timedelta

START = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
"""What both clocks say first, unless told otherwise."""

_PASSES = 20
"""Passes of the event loop that everybody else gets before made-up time moves on."""


class ManualClock:
    """Time that passes only when somebody sleeps, or when the test says so; nothing ever waits for real.

    Of several sleepers the one who wakes first moves the time to his moment, after all others who can run had
    their chance to. Threads and sockets do not count as running: with a real database or server in the flow,
    take a `ScaledClock`, or a heartbeat's sleeps race through hours while a commit is under way.
    """

    def __init__(self, *, start: datetime = START, jitter: float = 0.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._jitter = jitter
        self._wakings: list[float] = []
        self.slept: list[float] = []
        """Every duration that somebody asked to sleep for, in order."""

    def monotonic(self) -> float:
        """Return the made-up seconds since this clock was made."""
        return self._elapsed

    def now(self) -> datetime:
        """Return the start and the made-up time that has passed since."""
        return self._start + timedelta(seconds=self._elapsed)

    async def sleep(self, seconds: float) -> None:
        """Let others run, then move the time on to the end of this sleep."""
        self.slept.append(seconds)
        waking = self._elapsed + max(0.0, seconds)
        self._wakings.append(waking)
        try:
            moved_at = math.nan
            while moved_at != self._elapsed or waking > min(self._wakings):
                moved_at = self._elapsed
                for _ in range(_PASSES):
                    await asyncio.sleep(0)
            self._elapsed = max(self._elapsed, waking)
        finally:
            self._wakings.remove(waking)

    def jitter(self) -> float:
        """Return the number this clock was made with."""
        return self._jitter

    def advance(self, seconds: float) -> None:
        """Move the time on by `seconds`; sleepers whose moment has come wake at their next pass."""
        self._elapsed += seconds


class ScaledClock:
    """The machine's time, `factor` times as fast: sleeping `s` seconds takes `s / factor` real ones."""

    def __init__(self, factor: float, *, start: datetime = START, seed: int = 0) -> None:
        self._factor = factor
        self._start = start
        self._began = time.monotonic()
        self._chance = random.Random(seed)  # noqa: S311  # spreads retries; the seed makes a test repeatable

    def monotonic(self) -> float:
        """Return the scaled seconds since this clock was made."""
        return (time.monotonic() - self._began) * self._factor

    def now(self) -> datetime:
        """Return the start and the scaled time that has passed since."""
        return self._start + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        """Sleep until `seconds` of this clock's time have passed."""
        await asyncio.sleep(max(0.0, seconds) / self._factor)

    def jitter(self) -> float:
        """Return a number in [0, 1), the same sequence for the same seed."""
        return self._chance.random()
