"""The lane: when the next message may leave for one destination, and what follows from an answer.

Pure: (state, now) in, decision out; `now` is monotonic seconds. The dispatcher acts on the decisions.
"""

from dataclasses import dataclass
from typing import Final

from service.delivery.send_result import InDoubt, NotPosted, RateLimited, Rejected, Retry, SendResult, Sent
from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.pace import Pace

BACKOFF_BASE_S: Final = 1.0
BACKOFF_CAP_S: Final = 60.0
BACKOFF_SPREAD: Final = 0.25
"""A retry waits up to a quarter longer than its curve says, so that many do not come back at once."""
LONGEST_BACKOFF_S: Final = BACKOFF_CAP_S * (1 + BACKOFF_SPREAD)
RATE_LIMITS_PER_ALERT: Final = 10
"""The tenth 429 for one alert is the last."""
SHORTAGE_PAUSE_S: Final = 1.0
"""Where this machine has no descriptor left for a connection, its lane tries again so much later."""
UNREACHABLE_IN_A_ROW: Final = 3
"""After so many alerts in a row failed because no connection formed, the destination is given up."""


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
    """What must be remembered about a lane between two decisions."""

    in_flight: int = 0
    unreachable_in_a_row: int = 0


@dataclass(slots=True)
class Tries:
    """How one alert has fared in this run."""

    retries: int = 0
    rate_limits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of an alert after a POST."""

    status: DeliveryStatus
    reason: Reason | None = None
    message: str | None = None
    again_at: float | None = None
    """When it may be tried again; only where the status is `pending`."""


def decide(
    lane: LaneState, now: float, *, ready_at: float | None, drained: bool, last_claim_at: float
) -> Send | Wait | Stop:
    """Say what the lane does next.

    `ready_at` is when its first message may leave as far as that message is concerned (None: there is none
    just now), `drained` that no further one will come from the outbox, and `last_claim_at` the moment after
    which nothing may leave any more. A turn or a pause that ends after that moment ends the lane at once.
    """
    if lane.unreachable_in_a_row >= UNREACHABLE_IN_A_ROW:
        return Stop(Reason.SLACK_UNREACHABLE)
    if ready_at is None:
        if drained and lane.in_flight == 0:
            return Stop(None)
        return Wait(None) if drained or now <= last_claim_at else Stop(Reason.DEADLINE)
    turn = max(lane.turn, ready_at)
    if max(turn, now) > last_claim_at:
        return Stop(Reason.DEADLINE)
    return Send() if turn <= now else Wait(turn)


def has_free_sender(in_flight: dict[str, int], lane: str, *, concurrency: int) -> bool:
    """Tell whether `lane` may use one more of the `concurrency` senders.

    One sender is kept for every lane and the rest is shared, so that no lane, however slow its destination,
    can hold every sender. With fewer senders than lanes, a lane may hold all but one.
    """
    total = sum(in_flight.values())
    shared = concurrency - len(in_flight)
    if shared < 0:
        return total < concurrency and in_flight[lane] < max(1, concurrency - 1)
    return in_flight[lane] == 0 or sum(max(0, held - 1) for held in in_flight.values()) < shared


def judge(  # noqa: C901, PLR0911  # one match over a closed family reads best whole
    result: SendResult, tries: Tries, lane: LaneState, *, now: float, max_retries: int, jitter: float
) -> Verdict:
    """Say what becomes of the alert, and note in `tries` and `lane` what the answer teaches.

    `jitter` is a number in [0, 1).
    """
    if not isinstance(result, NotPosted | InDoubt) and not _is_unreachable(result):
        lane.unreachable_in_a_row = 0
    match result:
        case Sent():
            return Verdict(status=DeliveryStatus.SENT)
        case Rejected():
            return Verdict(status=DeliveryStatus.FAILED, reason=result.reason, message=result.message)
        case InDoubt():
            return Verdict(status=DeliveryStatus.UNKNOWN, reason=result.reason, message=result.message)
        case NotPosted():
            if result.reason is not None:
                # Those that do have a connection go on.
                lane.next_turn = max(lane.next_turn, now + SHORTAGE_PAUSE_S)
            return Verdict(status=DeliveryStatus.PENDING, again_at=now)
        case RateLimited():
            tries.rate_limits += 1
            lane.paused_until = max(lane.paused_until, now + result.retry_after_s)
            if tries.rate_limits >= RATE_LIMITS_PER_ALERT:
                message = f"Slack asked {tries.rate_limits} times to wait"
                return Verdict(status=DeliveryStatus.FAILED, reason=Reason.RATE_LIMITED, message=message)
            return Verdict(
                status=DeliveryStatus.PENDING, reason=Reason.RATE_LIMITED, again_at=lane.paused_until
            )
        case Retry():
            if tries.retries >= max_retries:
                if _is_unreachable(result):
                    lane.unreachable_in_a_row += 1
                return Verdict(status=DeliveryStatus.FAILED, reason=result.reason, message=result.message)
            tries.retries += 1
            again_at = now + backoff_s(tries.retries, jitter=jitter)
            return Verdict(
                status=DeliveryStatus.PENDING, reason=result.reason, message=result.message, again_at=again_at
            )


def backoff_s(retry: int, *, jitter: float) -> float:
    """Return the seconds before the `retry`-th retry (from 1): 1, 2, 4, … up to a cap, plus jitter."""
    return min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** (retry - 1)) * (1 + BACKOFF_SPREAD * jitter)


def _is_unreachable(result: SendResult) -> bool:
    return isinstance(result, Retry) and result.reason is Reason.SLACK_UNREACHABLE
