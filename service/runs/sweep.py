"""The sweeps: runs whose process has died are closed, or resumed here; what is too old is deleted."""

from collections import Counter
from contextlib import suppress
from datetime import datetime
from typing import Final

from service.domain.errors import DatabaseUnusableError, RiskAlertsError
from service.domain.progress import Progress
from service.runs.context import App
from service.runs.execute import resume_run
from service.store.patience import retry_while_unavailable
from service.telemetry.events import Pruned, PruneFailed, SweepFailed
from service.telemetry.run_events import RunRescued
from service.telemetry.structured import structlog

PRUNE_EVERY_S: Final = 6 * 3600.0
PRUNE_PAUSE_S: Final = 0.1
"""Between two steps: longer than a step takes."""


async def keep_sweeping(app: App, *, resumes: bool) -> None:
    """Sweep again and again, so that no run stays `running` for ever; with `resumes`, resume runs too."""
    while True:
        try:
            await rescue_runs(app)
            if resumes:
                await resume_runs(app)
        except DatabaseUnusableError as problem:
            app.events.emit(SweepFailed(exc_info=problem))
        await app.clock.sleep(app.policy.lease_s / 2)


async def rescue_runs(app: App) -> None:
    """Close the runs whose process has died, but for those to resume; raises DatabaseUnusableError."""
    await app.store.rescue.shorten_leases(lease_s=app.policy.lease_s)
    for rescued in await app.store.rescue.close_dead(
        now=app.clock.now(), resumable_since=_resumable_since(app), at_work=app.at_work.runs
    ):
        app.events.emit(RunRescued(run_id=rescued.run_id, in_doubt=rescued.in_doubt))


async def resume_runs(app: App) -> None:
    """Resume the recorded runs whose process has died or stopped; raises DatabaseUnusableError."""
    if not app.channels.is_configured:
        return  # it could not send; a process that can may yet come
    for run_id in await app.store.rescue.resumable(since=_resumable_since(app), kinds=app.kinds):
        if run_id not in app.at_work.runs:
            with structlog.contextvars.bound_contextvars(run_id=run_id):
                app.at_work.spawn(_resume(app, run_id))


async def _resume(app: App, run_id: str) -> None:
    # Nobody waits for its answer: what failed is in the run's record, and in the log.
    with suppress(RiskAlertsError):
        await resume_run(app, run_id, since=_resumable_since(app), progress=Progress())


def _resumable_since(app: App) -> datetime:
    return app.clock.now() - app.policy.resume_within


async def keep_pruning(app: App) -> None:
    """Prune again and again, as long as the process lives."""
    while True:
        try:
            await prune(app)
        except DatabaseUnusableError as problem:
            app.events.emit(PruneFailed(exc_info=problem))
        await app.clock.sleep(PRUNE_EVERY_S)


async def prune(app: App) -> dict[str, int]:
    """Delete all that is too old and return how many rows of which table; raises DatabaseUnusableError."""
    before = app.clock.now() - app.policy.keep_runs
    removed: Counter[str] = Counter()
    while step := await retry_while_unavailable(app.clock, lambda: app.store.retention.prune(before=before)):
        removed.update(step)
        await app.clock.sleep(PRUNE_PAUSE_S)
    if removed:
        app.events.emit(Pruned(rows=dict(removed), before=before))
    return dict(removed)
