"""The heartbeat: a run at work tells the database that it lives, and hears there whether it still may."""

import asyncio
from typing import Protocol

from service.domain.errors import OvertakenError
from service.domain.progress import Progress
from service.runs.context import App
from service.telemetry.events import HeartbeatFailed


class Living(Protocol):
    """What a heartbeat needs to know of a run."""

    app: App
    run_id: str
    progress: Progress
    halt: asyncio.Event
    is_closing: bool

    @property
    def epoch(self) -> int | None:
        """Under which the run holds its month, once it does."""
        ...

    async def execute(self) -> None:
        """Do all the work."""
        ...


async def keep_alive_while(run: Living) -> None:
    """Bring a run to its end and tell the database that it lives.

    Raises OvertakenError when it was closed or resumed elsewhere, and whatever ended the run.
    """
    app = run.app

    async def beat() -> None:
        pause_s = regular_s = app.settings.lease_s / 3
        while True:
            await app.clock.sleep(pause_s)
            pause_s = regular_s
            try:
                if await app.store.runs.keep_alive(
                    run.run_id,
                    lease_s=app.settings.lease_s,
                    progress=run.progress.snapshot(),
                    epoch=run.epoch,
                ):
                    run.halt.set()  # cancelled, in another process
            except OvertakenError:
                if run.is_closing:
                    return  # most likely closed by itself, a moment ago; if not, closing it raises the same
                raise
            except Exception as problem:  # noqa: BLE001  # a run must not die of a missed heartbeat
                app.events.emit(HeartbeatFailed(run_id=run.run_id, error=problem))
                pause_s = regular_s / 5

    working, beating = asyncio.ensure_future(run.execute()), asyncio.ensure_future(beat())
    try:
        await asyncio.wait([working, beating], return_when=asyncio.FIRST_COMPLETED)
        if not working.done() and beating.exception() is not None:
            working.cancel()
            await asyncio.wait([working])
            beating.result()  # raises why it ended
        await working
    finally:
        working.cancel()
        beating.cancel()
        await asyncio.gather(working, beating, return_exceptions=True)
