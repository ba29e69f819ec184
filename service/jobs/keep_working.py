"""The worker of an instance: it takes the jobs that wait, one after the other."""

import asyncio
from contextlib import suppress
from typing import Final

from service.domain.default_risk.job import ClaimedJob
from service.domain.errors import DatabaseUnusableError, RiskAlertsError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.runs.context import App
from service.telemetry.events import SweepFailed
from service.telemetry.structured import structlog

LOOK_EVERY_S: Final = 1.0
"""How long a job may wait for an instance that has nothing to do."""


async def keep_working(app: App) -> None:
    """Take a job whenever one waits, as long as the process lives: one at a time, for its memory."""
    while not app.at_work.stopping.is_set():
        try:
            claimed = await take_job(app)
        except DatabaseUnusableError as problem:
            app.events.emit(SweepFailed(exc_info=problem))
            await app.clock.sleep(app.policy.lease_s / 2)
            continue
        if claimed is None:
            await app.clock.sleep(LOOK_EVERY_S)
        else:
            # Waited for and not awaited: when this is cancelled, the job has its grace to be left.
            await asyncio.wait([app.at_work.spawn(_work(app, claimed))])


async def take_job(app: App) -> ClaimedJob | None:
    """Take the job that has waited longest, of whichever tenant; raises DatabaseUnusableError."""
    everybody = app.store.seen_by(Actor.system(app.tenant_id), Scope.of_all())
    return await everybody.default_risk.job_work.take(
        app.tenant_id,
        since=app.clock.now() - app.policy.resume_within,
        lease_s=app.policy.lease_s,
        most_alerts=app.policy.most_of_a_rule,
        at_work=app.at_work.runs,
    )


async def _work(app: App, claimed: ClaimedJob) -> None:
    # Loaded with the first job: a start waits for nothing of what reads and scores.
    from service.jobs.execute import execute_job  # noqa: PLC0415

    # Nobody waits for its answer: what failed is in the job, and in the log.
    with structlog.contextvars.bound_contextvars(job_id=claimed.job.id), suppress(RiskAlertsError):
        await execute_job(app, claimed)
