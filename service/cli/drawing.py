"""Drawing: progress bars on a terminal."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from service.api.time_left import TimeLeft, work, work_in
from service.domain.progress import Phase, Progress
from service.telemetry.terminal import harmless

_REFRESH_S: Final = 0.1


@asynccontextmanager
async def drawn(progress: Progress) -> AsyncIterator[None]:
    """Draw `progress` on stderr while the body works."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        drawing = _Drawing(bars, progress)
        watching = asyncio.create_task(drawing.watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            drawing.draw()


class _Drawing:
    """A bar for each phase that a run has come to."""

    def __init__(self, bars: Bars, progress: Progress) -> None:
        self._bars = bars
        self._progress = progress
        self._tasks: dict[Phase, TaskID] = {}
        self._time_left = TimeLeft()

    async def watch(self) -> None:
        """Draw again and again."""
        while True:
            self.draw()
            await asyncio.sleep(_REFRESH_S)

    def draw(self) -> None:
        """Draw the present phase, and fill the bars of those that it has left behind."""
        phase = self._progress.phase
        for left, task in self._tasks.items():
            if left is not phase:
                _, total = work_in(left, self._progress)
                self._bars.update(task, completed=total or 1, total=total or 1, note="")
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=None, note="")
        done, total = work(self._progress)
        seconds = self._time_left.seconds("", self._progress, now=time.time())
        note = _note(self._progress, seconds)
        self._bars.update(self._tasks[phase], completed=done, total=total or None, note=note)


def _note(progress: Progress, seconds: float | None) -> str:
    parts = [] if seconds is None else [f"{seconds:.0f} s left"]
    if progress.phase is Phase.SCANNING:
        parts.append(f"row groups {progress.row_groups_done}/{progress.row_groups_total}")
    parts += [f"{harmless(channel)} {sent}" for channel, sent in sorted(progress.sent_by_channel.items())]
    return "  ".join(parts)
