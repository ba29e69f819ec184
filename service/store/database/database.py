"""The database as the verbs see it: a transaction that reads, a transaction that writes, nothing between.

A verb's work is a plain function over a SQLAlchemy connection; how it is run (in a thread, over the network)
is each backend's business. A transaction always runs to its end: cancelling the caller neither stops a
statement nor leaves half of it behind.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from service.domain.identity.scope import Scope

BUSY_TIMEOUT_S: Final = 10.0
"""How long a transaction waits for another process's before it gives up."""

T = TypeVar("T")
Work = Callable[[sa.Connection], T]


class Database(Protocol):
    """One process's way into the database; there is one writer at a time over all processes."""

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent snapshot; raises DatabaseUnusableError and whatever `work` raises."""

    async def write(self, work: Work[T], *, repeatable: bool = False) -> T:
        """Run `work` as the only writer and commit, durably; nothing of it stays when it raises.

        `repeatable` work does no harm when it is done again: should the answer to its commit be lost,
        DatabaseUnavailableError is raised whether it was made or not. Raises DatabaseBusyError,
        DatabaseUnusableError, and whatever `work` raises.
        """

    def within(self, scope: Scope) -> "Database":
        """Return the same database for the rows of a scope: where it can, it shows no others."""

    async def open(self) -> None:
        """Connect for the first time; raises DatabaseUnusableError."""

    async def close(self) -> None:
        """Close all connections."""


class DatabaseClock(FunctionElement[float]):
    """Seconds since 1970 by the database's clock: the one clock that all processes share."""

    type = sa.Double()
    inherit_cache = True


CLOCK_SQL: Final = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    # Not now(), which stands still at the transaction's begin: it may have waited long for the writer's lock.
    "postgresql": "extract(epoch from clock_timestamp())::double precision",
}
"""How each dialect spells it."""


@compiles(DatabaseClock, "sqlite")
@compiles(DatabaseClock, "postgresql")
def _clock(_: DatabaseClock, compiler: Any, **__: Any) -> str:
    return CLOCK_SQL[compiler.dialect.name]


async def execute(transaction: "asyncio.Future[T]") -> T:
    """Await a transaction so that a cancellation, however often repeated, is only felt after its end."""
    cancelled: asyncio.CancelledError | None = None
    while not transaction.done():
        try:
            await asyncio.wait([transaction])
        except asyncio.CancelledError as problem:
            cancelled = problem
    if cancelled is not None:
        if not transaction.cancelled():
            transaction.exception()  # looked at, so that nobody reports it as forgotten
        raise cancelled
    return transaction.result()
