"""The outbox run, started by `serve` when something waits that no evaluation sends."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

from service.delivery.channels import Destination
from service.domain.errors import DatabaseUnusableError, InterruptedRunError, RiskAlertsError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.progress import Progress
from service.domain.run import RunRecord
from service.runs.context import App
from service.runs.execute import execute_run, new_run_id
from service.runs.sweep import rescue_runs, resume_runs
from service.runs.waiting.kind import OutboxRuns, outbox_request
from service.runs.waiting.update_messages import wanted_updates
from service.store.outbox.waiting import OUTBOX
from service.store.store import Store
from service.telemetry.events import SweepFailed
from service.telemetry.structured import structlog

LOOK_EVERY_S: Final = 1.0
"""How long something may wait before its run begins."""
LOOK_BEHIND_EVERY_S: Final = 60.0
"""How often it is looked for what a run could not send."""
TRY_AGAIN_S: Final = 15 * 60.0
"""How long that waits for another run, unless something new takes it along."""
FAILED_PAUSE_S: Final = 60.0
"""How long a tenant's next run waits where one failed."""


async def keep_sending(app: App) -> None:
    """Start an outbox run for each tenant that this process sends for, whenever something waits there."""
    if not (app.channels.is_configured and app.policy.database_is_durable):
        return  # it may not send; what waits is counted, and a process that may send can yet come
    busy: set[str] = set()
    look_behind_at = app.clock.monotonic()
    while True:
        try:
            seen = await _seen(app)
            tenants = await seen.waiting.tenants()
            if app.channels.destination is Destination.BOT:
                tenants += await seen.message_updates.tenants(wanted_updates(app))
            if app.clock.monotonic() >= look_behind_at:
                look_behind_at = app.clock.monotonic() + LOOK_BEHIND_EVERY_S
                tenants += await _left_behind(app, seen)
            for tenant_id in dict.fromkeys(tenants):
                if tenant_id not in busy:
                    busy.add(tenant_id)
                    app.at_work.spawn(_send(app_of(app, tenant_id), busy))
        except DatabaseUnusableError as problem:
            app.events.emit(SweepFailed(exc_info=problem))
            await app.clock.sleep(app.policy.lease_s / 2)
        await app.clock.sleep(LOOK_EVERY_S)


async def send_waiting(app: App) -> RunRecord:
    """Send what waits for the app's tenant with a run of its own; raises as `execute_run` does."""
    run_id = new_run_id(app.clock.now())
    with structlog.contextvars.bound_contextvars(run_id=run_id):
        return await execute_run(app, outbox_request(app.tenant_id), run_id=run_id, progress=Progress())


def app_of(app: App, tenant_id: str) -> App:
    """Return the app as it sends for a tenant, which may be another than its own."""
    kind = app.kinds[OUTBOX]
    if tenant_id == app.tenant_id or not isinstance(kind, OutboxRuns):
        return app
    store = app.store.seen_by(Actor.system(tenant_id), Scope.of_system(tenant_id))
    kinds = {OUTBOX: replace(kind, waiting=store.waiting)}
    return replace(app, store=store, tenant_id=tenant_id, kinds=kinds)


async def _seen(app: App) -> Store:
    """Return the store of all whom this process sends for.

    While nobody is asked who they are, a tenant is what a caller says, and its alerts go to the channels that
    there are. Afterwards they are one tenant's.
    """
    if not await app.authenticator.is_open():
        return app.store
    return app.store.seen_by(Actor.system(app.tenant_id), Scope.of_all())


async def _left_behind(app: App, seen: Store) -> Collection[str]:
    """Look after dead runs of other tenants, and return the tenants for whom it is time to try again."""
    for tenant_id in await seen.waiting.with_dead_runs():
        if tenant_id != app.tenant_id:  # whose sweep is at work
            other = app_of(app, tenant_id)
            await rescue_runs(other)
            await resume_runs(other)
    now = app.clock.now()
    return await seen.waiting.left_behind(
        since=now - app.policy.resume_within, before=now - timedelta(seconds=TRY_AGAIN_S)
    )


async def _send(app: App, busy: set[str]) -> None:
    try:
        await send_waiting(app)
    except InterruptedRunError:
        return  # it is resumed, or its alerts go with the next one
    except RiskAlertsError:
        # It is in the run's record, and in the log; the next one might fail as well.
        with suppress(InterruptedRunError):
            await app.at_work.unless_stopped(app.clock.sleep(FAILED_PAUSE_S))
    finally:
        busy.discard(app.tenant_id)
