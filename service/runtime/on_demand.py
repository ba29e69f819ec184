"""On demand: a resource that is opened when somebody first needs it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

from service.runtime.daemon_thread import run_in_daemon_thread

T = TypeVar("T")


@asynccontextmanager
async def on_demand(
    resource: Callable[[], AbstractAsyncContextManager[T]],
) -> AsyncIterator[Callable[[], Awaitable[T]]]:
    """Give what opens a resource once and returns it, also to all who ask later; it is closed with the block.

    `resource` is called in a thread, as what it has to load takes its time. What it raises is raised to
    whoever asked, and the next one tries again.
    """
    async with AsyncExitStack() as stack:
        one_at_a_time = asyncio.Lock()
        held: list[T] = []

        async def opened() -> T:
            async with one_at_a_time:
                if not held:
                    held.append(await stack.enter_async_context(await run_in_daemon_thread(resource)))
                return held[0]

        yield opened
