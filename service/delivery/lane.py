"""The lane: when the next message may leave for one destination, and what follows from an answer.

Pure: (state, now) in, next move out; `now` is monotonic seconds. The dispatcher makes the moves.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from service.delivery.outage import Outage
from service.delivery.slack.send_result import (
    InDoubt,
    NotPosted,
    RateLimited,
    Rejected,
    Retry,
    SendResult,
    Sent,
)
from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.pace import Pace, backoff_s

RATE_LIMITS_PER_ALERT: Final = 10
"""The tenth 429 for one alert is the last."""
SHORTAGE_PAUSE_S: Final = 1.0
"""Where this machine has no descriptor left for a connection, its lane tries again so much later."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message may leave now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can leave before `until`; None waits for an answer or for the queue."""

    until: float | None


@dataclass(frozen=True, slots=True)
class Stop:
    """The lane is at its end: drained (no reason), or given up for `reason`."""

    reason: Reason | None


@dataclass(slots=True, kw_only=True)
class LaneState(Pace):
    """What must be remembered about a lane between two moves."""

    in_flight: int = 0
    outage: Outage = field(default_factory=Outage)
    short_until: float = -math.inf
    """Until when nothing new is tried because this machine could not open a connection."""

    def may_leave(self, now: float) -> bool:
        """Return whether a message that is claimed already may still be written."""
        return now >= max(self.paused_until, self.outage.probe_at)


@dataclass(slots=True)
class Tries:
    """How one alert has fared in this run."""

    place: int
    """In the order of sending."""
    retries: int = 0
    rate_limits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What becomes of an alert after a POST."""

    status: DeliveryStatus
    reason: Reason | None = None
    message: str | None = None
    again_at: float | None = None
    """When it may be tried again; only where the status is `pending`."""
    pause_s: float | None = None
    """For how long the lane pauses because of it, from now."""


def next_move(
    lane: LaneState, now: float, *, ready_at: float | None, drained: bool, last_claim_at: float
) -> Send | Wait | Stop:
    """Say what the lane does next.

    `ready_at` is when its first message may leave as far as that message is concerned (None: there is none
    just now), `drained` that no further one will come from the outbox, and `last_claim_at` the moment after
    which nothing may leave any more. A turn or a pause that ends after that moment ends the lane at once.
    During an outage one message is on its way at a time.
    """
    outage = lane.outage
    if outage.given_up is not None:
        return Stop(outage.given_up)
    if ready_at is None:
        if drained and lane.in_flight == 0:
            return Stop(None)
        return Wait(None) if drained or now <= last_claim_at else Stop(outage.at_deadline)
    if outage.is_on and lane.in_flight:
        return Wait(None)
    turn = max(lane.turn, ready_at, lane.short_until, outage.probe_at)
    if max(turn, now) > last_claim_at:
        return Stop(outage.at_deadline)
    return Send() if turn <= now else Wait(turn)


def follow_up(
    result: SendResult,
    tries: Tries,
    lane: LaneState,
    *,
    now: float,
    max_retries: int,
    jitter: float,
    is_probe: bool = False,
) -> FollowUp:
    """Say what becomes of the alert, and note in `tries` and `lane` what the answer teaches.

    `jitter` is a number in [0, 1); `is_probe` says that the message left during an outage, so that its alert
    is not to blame.
    """
    pause_s = _outage_pause_s(result, tries, lane, now=now, jitter=jitter)
    match result:
        case Sent():
            return FollowUp(status=DeliveryStatus.SENT)
        case Rejected():
            return FollowUp(status=DeliveryStatus.FAILED, reason=result.reason, message=result.message)
        case InDoubt():
            return FollowUp(
                status=DeliveryStatus.UNKNOWN, reason=result.reason, message=result.message, pause_s=pause_s
            )
        case NotPosted():
            return _not_posted(result, lane, now=now)
        case RateLimited():
            return _rate_limited(result, tries, lane, now=now)
        case Retry():
            again_at: float | None = None
            if is_probe:
                again_at = lane.outage.probe_at
            elif tries.retries < max_retries:
                tries.retries += 1
                again_at = now + backoff_s(tries.retries, jitter=jitter)
            ended = DeliveryStatus.UNKNOWN if result.may_have_arrived else DeliveryStatus.FAILED
            return FollowUp(
                status=ended if again_at is None else DeliveryStatus.PENDING,
                reason=result.reason,
                message=result.message,
                again_at=again_at,
                pause_s=pause_s,
            )


def _outage_pause_s(
    result: SendResult, tries: Tries, lane: LaneState, *, now: float, jitter: float
) -> float | None:
    """Note whether the destination fails; return for how long the lane pauses because of this answer."""
    match result:
        case Sent() | RateLimited():
            lane.outage.over()
        case Rejected():
            lane.outage.note_rejected(result)
        case Retry() | InDoubt():
            return lane.outage.note(result, tries.place, now=now, jitter=jitter)
    return None


def _not_posted(result: NotPosted, lane: LaneState, *, now: float) -> FollowUp:
    pause_s: float | None = None
    if result.reason is not None and now >= lane.short_until:
        pause_s = SHORTAGE_PAUSE_S
        lane.short_until = now + pause_s
    return FollowUp(status=DeliveryStatus.PENDING, reason=result.reason, again_at=now, pause_s=pause_s)


def _rate_limited(result: RateLimited, tries: Tries, lane: LaneState, *, now: float) -> FollowUp:
    tries.rate_limits += 1
    lane.paused_until = max(lane.paused_until, now + result.retry_after_s)
    is_last = tries.rate_limits >= RATE_LIMITS_PER_ALERT
    return FollowUp(
        status=DeliveryStatus.FAILED if is_last else DeliveryStatus.PENDING,
        reason=Reason.RATE_LIMITED,
        message=f"Slack asked {tries.rate_limits} times to wait" if is_last else None,
        again_at=None if is_last else lane.paused_until,
        pause_s=result.retry_after_s,
    )
