"""Delivery reports: to the log and the progress bars, what has become of a run's alerts.

Only what is committed is reported: after a crash the log never says what the ledger does not.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service.delivery.lane import FollowUp
from service.delivery.lane_queue import Delivery, OutgoingLane
from service.delivery.slack.send_result import NotPosted, RateLimited, SendResult, Sent
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.progress import Progress
from service.domain.replay import ReplayAction, RoutedAlert
from service.store.outbox.send import OutboxEntry, Settlement, UntriedAlert
from service.telemetry.delivery_events import AlertRetried, AlertSettled, LaneEnded, LanePaused
from service.telemetry.events import Events

_FINAL: Final = {
    DeliveryStatus.SENT: Outcome.SENT,
    DeliveryStatus.FAILED: Outcome.FAILED,
    DeliveryStatus.UNKNOWN: Outcome.UNKNOWN,
}
_LINES_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one claim came to, from its answer until that is committed."""

    settlement: Settlement
    entry: OutboxEntry
    lane: str
    posts: int
    """Of this alert in this run so far."""
    wait_s: float
    """How long it waits where it is tried again."""
    pause_s: float | None
    """For how long its lane pauses because of it."""


def answered(
    lane: OutgoingLane,
    delivery: Delivery,
    result: SendResult,
    after: FollowUp,
    *,
    claimed_at: datetime,
    settled_at: datetime,
    wait_s: float | None,
) -> Answered:
    """Put together what is written down of a claim, and then reported; `wait_s` where it is tried again."""
    entry = delivery.entry
    settlement = Settlement(
        alert_id=entry.alert_id,
        claim=entry.claims + 1,
        status=after.status,
        claimed_at=claimed_at,
        settled_at=settled_at,
        posted=not isinstance(result, NotPosted),
        reason=after.reason,
        message=after.message,
        http_status=getattr(result, "http_status", None),
        retry_after_s=result.retry_after_s if isinstance(result, RateLimited) else None,
        retries=delivery.tries.retries,
        rate_limits=delivery.tries.rate_limits,
        not_before=None if wait_s is None else settled_at + timedelta(seconds=min(wait_s, 1e9)),
        lane=lane.shared.key,
        slack_channel=result.channel if isinstance(result, Sent) else None,
        slack_ts=result.ts if isinstance(result, Sent) else None,
    )
    return Answered(
        settlement=settlement,
        entry=entry,
        lane=lane.name,
        posts=delivery.posts,
        wait_s=wait_s or 0.0,
        pause_s=after.pause_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUpLane:
    """A lane that ended before its alerts did, because its destination failed."""

    channels: tuple[str, ...]
    reason: Reason
    why: str
    """For people."""
    alerts: int
    """How many did not leave."""

    @property
    def named(self) -> str:
        """The channels that it leads to."""
        return ", ".join(f"#{channel}" for channel in self.channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """Reports one run's deliveries."""

    run_id: str
    events: Events
    progress: Progress

    def written(self, answered: Answered) -> None:
        """Report what an answer meant for an alert, now that the ledger has it."""
        settlement, entry = answered.settlement, answered.entry
        at = settlement.settled_at.timestamp()
        if self.progress.pause_left_s(at) and settlement.status in _FINAL:
            self.progress.settled_in_pauses += 1
        if answered.pause_s is not None and settlement.reason is not None:
            self.progress.pause(at, answered.pause_s)
            self.events.emit(
                LanePaused(
                    run_id=self.run_id,
                    channel=answered.lane,
                    reason=settlement.reason,
                    pause_s=answered.pause_s,
                )
            )
        outcome = _FINAL.get(settlement.status)
        if outcome is not None:
            if outcome is Outcome.SENT:
                self.progress.sent_by_channel[entry.channel] += 1
            self._settled(
                entry,
                outcome,
                settlement.reason,
                http_status=settlement.http_status,
                attempts=answered.posts,
                posted=settlement.posted,
            )
        elif settlement.posted:
            self.events.emit(
                AlertRetried(
                    run_id=self.run_id,
                    alert_type=entry.alert_type,
                    subject=entry.subject,
                    alert_id=entry.alert_id,
                    channel=entry.channel,
                    reason=settlement.reason,
                    http_status=settlement.http_status,
                    attempts=answered.posts,
                    wait_s=answered.wait_s,
                )
            )

    def untried(
        self, lane: OutgoingLane, alerts: Sequence[UntriedAlert], outcome: Outcome, reason: Reason
    ) -> None:
        """Report the alerts that a lane did not come to."""
        if not alerts:
            return
        self.events.emit(
            LaneEnded(run_id=self.run_id, channel=lane.name, reason=reason, alerts_untried=len(alerts))
        )
        posts = {delivery.entry.alert_id: delivery.posts for _, _, delivery in lane.retries}
        for alert in alerts:
            self._settled(alert, outcome, reason, attempts=posts.get(alert.alert_id, 0))

    def _settled(
        self,
        alert: OutboxEntry | UntriedAlert,
        outcome: Outcome,
        reason: Reason | None,
        *,
        http_status: int | None = None,
        attempts: int,
        posted: bool = False,
    ) -> None:
        self.progress.alerts_settled += 1
        self.events.emit(
            AlertSettled(
                run_id=self.run_id,
                alert_type=alert.alert_type,
                subject=alert.subject,
                alert_id=alert.alert_id,
                channel=alert.channel,
                outcome=outcome,
                reason=reason,
                http_status=http_status,
                attempts=attempts,
                posted=posted,
            )
        )


async def report_actions(
    events: Events,
    run_id: str,
    routed: Sequence[RoutedAlert],
    actions: Sequence[ReplayAction],
    *,
    sends: Outcome,
) -> None:
    """Report the alerts whose outcome needs no delivery; `sends` is the outcome of those that need one."""
    for place, (item, taken) in enumerate(zip(routed, actions, strict=True)):
        if place % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)  # a replay of many alerts must not hold up everybody else
        outcome = taken.outcome(sends=sends)
        if outcome is not Outcome.PENDING:
            events.emit(
                AlertSettled(
                    run_id=run_id,
                    alert_type=item.alert.alert_type,
                    subject=item.alert.subject,
                    alert_id=item.alert.alert_id,
                    channel=taken.channel,
                    outcome=outcome,
                    reason=taken.reason,
                    http_status=None,
                    attempts=0,
                )
            )


def given_up_lane(lane: OutgoingLane, reason: Reason, untried: int) -> GivenUpLane | None:
    """Return the lane as one that was given up, or None where just its time was up, or nothing was left."""
    outage = lane.state.outage
    alerts = untried + outage.rejected_as_dead
    if not alerts or (reason is Reason.DEADLINE and not outage.is_on):
        return None
    return GivenUpLane(channels=lane.channels, reason=reason, why=outage.why_untried(reason), alerts=alerts)
