"""Messages kept true: what stands in Slack is changed to show what has become of its alert.

An outbox run does it once its posts are out, under the tenant's lease: of two processes none can put an older
state over a newer one. What Slack has changed and nobody has written down is changed once more, to no harm.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from service.delivery.dispatch import FREEZE_MARGIN_S
from service.delivery.lane_queue import method_lane, shared_lane
from service.delivery.slack.message import render, restated, with_link
from service.delivery.slack.send_result import (
    InDoubt,
    RateLimited,
    Rejected,
    Retry,
    SendResult,
    Sent,
)
from service.domain.delivery_status import Reason
from service.domain.pace import BACKOFF_SPREAD
from service.runs.context import App
from service.runs.waiting.kind import OutboxRuns
from service.store.outbox.lane_turns import SharedLane
from service.store.outbox.message_updates import DueUpdate, Wanted
from service.store.outbox.waiting import OUTBOX
from service.store.patience import retry_while_unavailable
from service.store.runs.state import Lease
from service.telemetry.delivery_events import LanePaused, MessageNotUpdated, MessageUpdated

if TYPE_CHECKING:
    from service.delivery.slack.bot import Bot

_METHOD: Final = "chat.update"
_PER_MINUTE: Final = 50.0
"""Changes that Slack takes of an app in a minute, over all channels (tier 3 of its methods)."""
CHANGE_FOR_S: Final = 60.0
"""So long one run changes messages: a new alert waits for it no longer than that."""
PATIENCE_S: Final = 5.0
"""A turn that comes later is left to a later run."""
LONGEST_BACKOFF_S: Final = 15 * 60.0


def wanted_updates(app: App) -> Wanted:
    """Return which messages this process can change now."""
    kind, now = app.kinds[OUTBOX], app.clock.now()
    types = kind.alert_type.types if isinstance(kind, OutboxRuns) else {}
    return Wanted(
        types=list(types),
        since=now - app.policy.resume_within,
        now=now,
        method=_method(app),
    )


def _method(app: App) -> SharedLane:
    interval = 60 / _PER_MINUTE if app.delivery.messages_per_second else 0.0
    return method_lane(app.channels, _METHOD, interval=interval)


async def update_messages(app: App, lease: Lease) -> None:
    """Change the messages of the app's tenant whose alerts have changed, channel beside channel.

    What cannot be changed now is left to a later run. Raises OvertakenError and DatabaseUnusableError.
    """
    updates = app.store.message_updates
    channels = await retry_while_unavailable(app.clock, lambda: updates.channels(wanted_updates(app)))
    if not channels:
        return
    from service.delivery.slack.bot import Bot  # noqa: PLC0415  # loads aiohttp

    bot = await app.sender()
    if not isinstance(bot, Bot):
        raise TypeError("only a bot can change what stands in a channel")
    pace = app.delivery.messages_per_second
    each = [
        _Channel(app, lease, bot, name, shared_lane(app.channels, name, messages_per_second=pace))
        for name in channels
    ]
    ended = await asyncio.gather(*(channel.update() for channel in each), return_exceptions=True)
    for problem in ended:
        if isinstance(problem, BaseException):
            raise problem


@dataclass(frozen=True, slots=True)
class _Channel:
    """The messages of one channel."""

    app: App
    lease: Lease
    bot: "Bot"
    name: str
    lane: SharedLane

    async def update(self) -> None:
        """Change one message after the other, in the pace of what is posted there."""
        until = self.app.clock.monotonic() + CHANGE_FOR_S
        while self.app.clock.monotonic() < until:
            began = self.app.clock.monotonic()
            match await retry_while_unavailable(self.app.clock, self._take):
                case None:
                    return
                case float() as wait_s:
                    if wait_s > PATIENCE_S:
                        await self._hold(wait_s)
                        return
                    await self.app.clock.sleep(wait_s)
                case DueUpdate() as update:
                    if not await self._show(update, began):
                        return

    async def _hold(self, wait_s: float) -> None:
        # Else a run would begin, and end, in each second of the pause.
        clock, hold = self.app.clock, self.app.store.message_updates.hold
        until = clock.now() + timedelta(seconds=wait_s)
        await retry_while_unavailable(clock, lambda: hold(self.name, until=until))

    async def _take(self) -> DueUpdate | float | None:
        return await self.app.store.message_updates.take(
            self.lease,
            self.name,
            wanted_updates(self.app),
            lane=self.lane,
            lease_s=self.app.policy.lease_s,
        )

    async def _show(self, update: DueUpdate, began: float) -> bool:
        """Change a message and write down what came of it; False where no other one is worth a try now."""
        app, updates = self.app, self.app.store.message_updates
        # As with a post: a process that froze must not put what it knew over what another has written since.
        send_by = began + app.policy.lease_s - app.delivery.timeout_s - FREEZE_MARGIN_S
        result = await self.bot.update(
            update.slack_channel,
            update.slack_ts,
            self._payload(update),
            timeout_s=app.delivery.timeout_s,
            may_leave=lambda: app.clock.monotonic() <= send_by,
        )
        if isinstance(result, Sent):
            await retry_while_unavailable(app.clock, lambda: updates.shown(update, now=app.clock.now()))
            app.events.emit(MessageUpdated(**self._of(update), channel=self.name, status=update.state.status))
            return True
        if isinstance(result, Rejected) and result.reason is not Reason.UNAUTHORIZED:
            reason, message = result.reason, result.message
            await retry_while_unavailable(
                app.clock, lambda: updates.failed(update, reason, message, now=app.clock.now())
            )
            self._not_updated(update, reason, None)
            return True
        await self._put_off(update, result)
        return False

    async def _put_off(self, update: DueUpdate, result: SendResult) -> None:
        app, updates = self.app, self.app.store.message_updates
        wait_s = backoff_s(update.tries, jitter=app.clock.jitter())
        match result:
            case RateLimited(retry_after_s=retry_after_s):
                reason, message = Reason.RATE_LIMITED, "Slack asked to wait"
                wait_s = retry_after_s
            case Rejected() | Retry() | InDoubt():
                reason, message = result.reason, result.message
            case _:
                reason, message = Reason.INTERRUPTED, "it was too late to change it under this lease"
        until = app.clock.now() + timedelta(seconds=wait_s)
        # Slack counts the calls of a method, of all channels together, and posts are another one.
        pause = (_method(app).key, wait_s) if reason is Reason.RATE_LIMITED else None
        await retry_while_unavailable(
            app.clock, lambda: updates.put_off(update, reason, message, until=until, pause=pause)
        )
        if pause is not None:
            run_id = self.lease.run_id
            app.events.emit(LanePaused(run_id=run_id, channel=_METHOD, reason=reason, pause_s=wait_s))
        self._not_updated(update, reason, wait_s)

    def _payload(self, update: DueUpdate) -> dict[str, Any]:
        """Return what the message is to show: what would be posted now, and what became of the alert."""
        alert_type = self.app.kinds[OUTBOX].alert_type
        message = alert_type.message(update.alert)
        if update.facts is not None:
            message = restated(message, alert_type.message(update.now))
        has_buttons = self.app.channels.has_buttons
        payload = render(update.alert, message, has_buttons=has_buttons, state=update.state, mentions=True)
        return payload if update.earlier is None else with_link(payload, self.bot.link_to(update.earlier))

    def _of(self, update: DueUpdate) -> dict[str, str]:
        alert = update.alert
        return {
            "run_id": self.lease.run_id,
            "alert_type": alert.alert_type,
            "subject": alert.subject,
            "alert_id": alert.alert_id,
        }

    def _not_updated(self, update: DueUpdate, reason: Reason, wait_s: float | None) -> None:
        event = MessageNotUpdated(**self._of(update), channel=self.name, reason=reason, wait_s=wait_s)
        self.app.events.emit(event)


def backoff_s(tries: int, *, jitter: float) -> float:
    """Return the seconds until the next try after so many in vain: 2, 4, 8, … up to a cap, plus jitter."""
    return min(LONGEST_BACKOFF_S, 2.0 ** min(tries + 1, 20)) * (1 + BACKOFF_SPREAD * jitter)
