"""Waiting for what a healthy machine does soon: a question asked until its answer is true, or a deadline."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

PATIENCE_S: Final = 60.0
"""However slow the machine: what has not happened by then is not going to."""
_POLL_S: Final = 0.01
_RAREST_S: Final = 0.05
"""What takes long is asked less and less often, down to this: the asking should not be what it waits for."""

T = TypeVar("T")


def wait_until(ask: Callable[[], T], *, what: str = "it", within_s: float = PATIENCE_S) -> T:
    """Ask again and again until the answer is true, and return it; raises AssertionError if it never is."""
    give_up_at, pause_s = time.monotonic() + within_s, _POLL_S
    while not (answer := ask()):
        assert time.monotonic() < give_up_at, f"waited {within_s:g} s in vain until {what}"
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.1, _RAREST_S)
    return answer


async def until(ask: Callable[[], T], *, what: str = "it", within_s: float = PATIENCE_S) -> T:
    """Do as `wait_until` does, and let everybody else on the event loop work meanwhile."""
    give_up_at = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < give_up_at, f"waited {within_s:g} s in vain until {what}"
        await asyncio.sleep(_POLL_S)
    return answer
