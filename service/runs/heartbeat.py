"""Lease and heartbeat: a run waits for its turn, writes down that it lives, and hears whether it may."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from service.domain.errors import OvertakenError
from service.domain.run import RunRequest
from service.runs.at_work import RunAtWork
from service.runs.context import App
from service.store.patience import retry_while_unavailable
from service.store.runs.state import Lease
from service.telemetry.run_events import HeartbeatFailed, RunWaiting

LEASE_POLL_S: Final = 0.5
"""How often a run that waits for its lease looks again."""


@dataclass(slots=True)
class Heartbeat:
    """What a heartbeat needs to hear of its run."""

    epoch: int | None = None
    """Under which the run holds its month, once it does."""
    is_closing: bool = False
    """From here on the run closes itself, so that to find it closed is no sign of somebody else."""


KeepAlive = Callable[..., Awaitable[bool]]
"""The store's verb for it: that of runs, or of what else lives by a lease."""


@asynccontextmanager
async def heartbeat(
    app: App, run_id: str, run: RunAtWork, *, keep_alive: KeepAlive | None = None
) -> AsyncIterator[Heartbeat]:
    """Beat until the block is left, and let the run halt when it was cancelled in another process.

    Once the run was closed or resumed elsewhere the block is cancelled and OvertakenError raised.
    """
    beat = Heartbeat()
    verb = keep_alive or app.store.runs.keep_alive
    beating = asyncio.create_task(_keep_beating(app, run_id, run, beat, verb))
    block = asyncio.current_task()
    is_overtaken = False

    def cancel_block(_: asyncio.Task[None]) -> None:
        nonlocal is_overtaken
        if block is not None and not beating.cancelled() and beating.exception() is not None:
            is_overtaken = True
            block.cancel()

    beating.add_done_callback(cancel_block)
    try:
        yield beat
    except asyncio.CancelledError:
        if is_overtaken and block is not None and not block.uncancel():
            beating.result()  # raises why it ended
        raise
    finally:
        beating.remove_done_callback(cancel_block)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def _keep_beating(
    app: App, run_id: str, run: RunAtWork, beat: Heartbeat, keep_alive: KeepAlive
) -> None:
    pause_s = regular_s = app.policy.lease_s / 3
    while True:
        await app.clock.sleep(pause_s)
        pause_s = regular_s
        try:
            if await keep_alive(
                run_id, lease_s=app.policy.lease_s, progress=run.progress.snapshot(), epoch=beat.epoch
            ):
                run.halt.set()  # cancelled, in another process
        except OvertakenError:
            if beat.is_closing:
                return  # most likely closed by itself, a moment ago; if not, closing it raises the same
            raise
        except Exception as problem:  # noqa: BLE001  # a run must not die of a missed heartbeat
            app.events.emit(HeartbeatFailed(run_id=run_id, exc_info=problem))
            pause_s = regular_s / 5


async def take_lease(app: App, run_id: str, request: RunRequest, *, halt: asyncio.Event) -> Lease:
    """Wait until the lease of what is asked for is the run's.

    Raises InterruptedRunError when the run has to `halt`, and as `acquire_lease` does.
    """
    is_reported = False
    acquire = partial(app.store.runs.acquire_lease, run_id, request.scope, lease=request.lease)
    while True:
        lease = await retry_while_unavailable(
            app.clock, lambda: acquire(now=app.clock.now(), at_work=app.at_work.runs)
        )
        if isinstance(lease, Lease):
            return lease
        if not is_reported:
            app.events.emit(RunWaiting(run_id=run_id, month=request.period, holder_run_id=lease))
            is_reported = True
        await app.at_work.unless_stopped(app.clock.sleep(LEASE_POLL_S), halt=halt)
