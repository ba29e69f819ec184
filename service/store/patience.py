"""Patience: a database that another process holds, or that is away for a while, is waited for."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from service.domain.errors import DatabaseUnusableError
from service.runtime.clock import Clock
from service.store.database.failures import DatabaseBusyError, DatabaseUnavailableError

BUSY_PATIENCE_S: Final = 120.0
"""For so long a run waits for a database that somebody else is writing to, or whose server restarts."""
BUSY_PAUSE_S: Final = 0.5

T = TypeVar("T")


TRANSIENT: Final = (DatabaseBusyError, DatabaseUnavailableError)
"""What a run that is under way waits out."""


async def retry_while_unavailable(
    clock: Clock,
    verb: Callable[[], Awaitable[T]],
    *,
    retry_on: type[DatabaseUnusableError] | tuple[type[DatabaseUnusableError], ...] = TRANSIENT,
) -> T:
    """Call a verb of the store again while the database is busy or away; raises its error in the end.

    A verb is one whole transaction, so that one which did not get its turn has changed nothing.
    """
    give_up_at = clock.monotonic() + BUSY_PATIENCE_S
    while True:
        try:
            return await verb()
        except retry_on:
            if clock.monotonic() >= give_up_at:
                raise
        await clock.sleep(BUSY_PAUSE_S)
