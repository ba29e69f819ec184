"""Limits: so many at once in this process, one more is rejected, and nobody works for a client that left."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.domain.errors import TooManyRunsError

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work` for as long as the client waits for it.

    When the client hangs up it is cancelled, and ClientDisconnect raised once it has ended.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Places:
    """A number of places; for the event loop's thread only."""

    def __init__(self, count: int, *, of: str) -> None:
        self._free = self._count = count
        self._of = of

    def take(self) -> None:
        """Take a place at once, to be left again; raises TooManyRunsError where none is free."""
        if not self._free:
            raise TooManyRunsError(
                f"{self._count} {self._of} are under way, as many as MAX_CONCURRENT_RUNS allows"
            )
        self._free -= 1

    def leave(self) -> None:
        """Give a place back."""
        self._free += 1
