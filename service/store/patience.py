"""Patience: a database that another process holds, or that is away for a while, is waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from service.domain.errors import DatabaseUnusableError
from service.runtime.clock import Clock
from service.store import DatabaseAwayError, DatabaseBusyError

BUSY_PATIENCE_S: Final = 120.0
"""For so long a run waits for a database that somebody else is writing to, or whose server restarts."""
BUSY_PAUSE_S: Final = 0.5

T = TypeVar("T")


NOT_JUST_NOW: Final = (DatabaseBusyError, DatabaseAwayError)
"""What a run that is under way waits out."""


async def patiently(
    clock: Clock,
    verb: Callable[[], Awaitable[T]],
    *,
    waits_out: type[DatabaseUnusableError] | tuple[type[DatabaseUnusableError], ...] = NOT_JUST_NOW,
) -> T:
    """Call a verb of the store again while the database is busy or away; raises its error in the end.

    A verb is one whole transaction, so that one which did not get its turn has changed nothing.
    """
    give_up_at = clock.monotonic() + BUSY_PATIENCE_S
    while True:
        try:
            return await verb()
        except waits_out:
            if clock.monotonic() >= give_up_at:
                raise
        await clock.sleep(BUSY_PAUSE_S)


async def first_of(*awaited: Awaitable[Any]) -> None:
    """Return when the first of these has ended, however it did; the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
