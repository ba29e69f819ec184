"""Delivery of one run: what it recorded is sent; a bot settles its doubts, and keeps messages true."""

import asyncio
import math

from service.delivery.channels import Destination
from service.delivery.dispatch import Dispatch
from service.delivery.reporting import GivenUpLane
from service.domain.delivery_status import AmbiguousSends
from service.domain.progress import Progress
from service.runs.context import App
from service.runs.waiting.update_messages import update_messages
from service.store.outbox.waiting import outbox_scope
from service.store.patience import retry_while_unavailable
from service.store.runs.state import Lease


async def deliver(
    app: App, lease: Lease, *, progress: Progress, halt: asyncio.Event
) -> tuple[GivenUpLane, ...]:
    """Send what a run has in the outbox and return the lanes that were given up; raises as Dispatch does."""
    given_up: tuple[GivenUpLane, ...] = ()
    to_send, until = progress.alerts_queued, math.inf
    while True:
        if to_send:
            given_up += await _dispatch(app, lease, progress, halt)
        until = min(until, app.clock.monotonic() + app.policy.reconcile_for_s)
        to_send = await app.at_work.unless_stopped(_settle_doubts(app, lease.run_id, until), halt=halt)
        if not to_send:
            break
        progress.alerts_queued += to_send
    if app.channels.destination is Destination.BOT and lease.scope == outbox_scope(app.tenant_id):
        # What a run of kind `outbox` has to change comes after what it has to send.
        await app.at_work.unless_stopped(update_messages(app, lease), halt=halt)
    return given_up


async def settle_earlier_doubts(app: App, lease: Lease) -> None:
    """Look for what earlier runs of the scope have left in doubt, before it may be sent again.

    Raises DatabaseUnusableError.
    """
    policy = app.policy
    if policy.ambiguous_sends is AmbiguousSends.HOLD or policy.replays is AmbiguousSends.RESEND:
        return  # nothing is sent again, or nobody can look
    if not policy.reconcile_for_s or lease.scope == outbox_scope(app.tenant_id):
        return  # what somebody has just created must not wait for that: `serve` looks once a minute
    from service.runs.doubts.reconcile import reconcile_all  # noqa: PLC0415  # loads aiohttp

    await reconcile_all(app, scope=lease.scope)


async def _dispatch(
    app: App, lease: Lease, progress: Progress, halt: asyncio.Event
) -> tuple[GivenUpLane, ...]:
    reached = await retry_while_unavailable(app.clock, lambda: app.store.outbox.channels(lease))
    dispatch = Dispatch(
        outbox=app.store.outbox,
        sender=await app.sender(),
        channels=app.channels,
        reached=reached,
        lease=lease,
        policy=app.delivery,
        clock=app.clock,
        events=app.events,
        progress=progress,
        halt=halt,
        stopping=app.at_work.stopping,
    )
    return await dispatch.until_drained()


async def _settle_doubts(app: App, run_id: str, until: float) -> int:
    """Settle what the run has left in doubt, where a bot can look; return how many are to be sent again."""
    if app.channels.destination is not Destination.BOT or not app.policy.reconcile_for_s:
        return 0
    from service.runs.doubts.reconcile import reconcile_run  # noqa: PLC0415  # loads aiohttp

    return await reconcile_run(app, run_id, until=until)
