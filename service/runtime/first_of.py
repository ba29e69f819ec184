"""Waiting for several things at once."""

import asyncio
from collections.abc import Awaitable
from typing import Any


async def first_of(*awaited: Awaitable[Any]) -> None:
    """Return when the first of these has ended, however it did; the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
