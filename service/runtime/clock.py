"""The clock: the one place where time comes from, injected so that tests never wait."""

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Final, Protocol

_SINCE_START: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended. Linux has a clock of its own for that: its `time.monotonic` stands
still, and who wakes up would think that its lease has not run out."""


class Clock(Protocol):
    """Time, sleep and chance; everything that paces, waits or backs off is given one."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...

    def now(self) -> datetime:
        """Return the wall-clock time, UTC and aware."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time."""
        ...

    def jitter(self) -> float:
        """Return a number in [0, 1)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Return the seconds since the machine started; a process that is stopped does not stop them."""
        return time.clock_gettime(_SINCE_START)

    def now(self) -> datetime:
        """Return the machine's wall-clock time in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        """Return a random number in [0, 1)."""
        return random.random()  # noqa: S311  # spreads retries; nothing secret depends on it
