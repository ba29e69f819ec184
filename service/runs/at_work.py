"""The runs at work in this process: how far each has come, and the word to halt."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from service.domain.errors import InterruptedRunError
from service.domain.progress import Phase, Progress
from service.runtime.clock import Clock
from service.runtime.first_of import first_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunAtWork:
    """One run of this process."""

    progress: Progress
    halt: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to let it halt: it was cancelled, or the process has to stop."""


class RunsAtWork:
    """The runs at work, and the tasks that do them; for the event loop's thread only."""

    def __init__(self) -> None:
        self.runs: dict[str, RunAtWork] = {}
        self.stopping = asyncio.Event()
        """Set when the process has to stop."""
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def entered(self, run_id: str, progress: Progress) -> Iterator[RunAtWork]:
        """Count a run among those at work until the block is left."""
        run = self.runs[run_id] = RunAtWork(progress)
        if self.stopping.is_set():
            run.halt.set()
        try:
            yield run
        finally:
            del self.runs[run_id]
            progress.phase = Phase.FINISHED

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that outlives the request which asked for it, until `close`."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def halt(self, run_id: str) -> None:
        """Let one run halt, if it is at work here."""
        if run_id in self.runs:
            self.runs[run_id].halt.set()

    def stop(self) -> None:
        """Let all runs halt: what is undelivered stays in the outbox, for whoever resumes them."""
        self.stopping.set()
        for run in self.runs.values():
            run.halt.set()

    async def close(self, clock: Clock, *, grace_s: float) -> None:
        """Stop; work that has not ended after `grace_s` seconds is cancelled."""
        self.stop()
        if self._tasks:
            await first_of(asyncio.wait(self._tasks), clock.sleep(grace_s))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def unless_stopped(self, work: Awaitable[T], *, halt: asyncio.Event | None = None) -> T:
        """Await `work`; raises InterruptedRunError as soon as the run, or all of the service, has to halt.

        When it is cancelled, so is `work`, and has ended when this returns.
        """
        task = asyncio.ensure_future(work)
        try:
            await first_of(task, (halt or self.stopping).wait())
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise
        if task.done():
            return task.result()
        raise InterruptedRunError("the service was stopped before the run could finish")
