"""Drawing: progress bars on a terminal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from service.api.time_left import TimeLeft, work
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
        drawing = asyncio.create_task(_draw(bars, progress))
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)


async def _draw(bars: Bars, progress: Progress) -> None:
    tasks: dict[Phase, TaskID] = {}
    time_left = TimeLeft()
    loop = asyncio.get_running_loop()
    while True:
        done, total = work(progress)
        task = tasks.get(progress.phase)
        if task is None:
            task = tasks[progress.phase] = bars.add_task(progress.phase, total=None, note="")
        seconds = time_left.seconds("", progress, now=loop.time())
        bars.update(task, completed=done, total=total or None, note=_note(progress, seconds))
        await asyncio.sleep(_REFRESH_S)


def _note(progress: Progress, seconds: float | None) -> str:
    parts = [] if seconds is None else [f"{seconds:.0f} s left"]
    if progress.phase is Phase.SCANNING:
        parts.append(f"row groups {progress.row_groups_done}/{progress.row_groups_total}")
    parts += [f"{harmless(channel)} {sent}" for channel, sent in sorted(progress.sent_by_channel.items())]
    return "  ".join(parts)
