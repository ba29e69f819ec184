"""The lane says when a message may leave, and what an answer means for it."""

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.lane import (
    RATE_LIMITS_PER_ALERT,
    SHORTAGE_PAUSE_S,
    FollowUp,
    LaneState,
    Send,
    Stop,
    Tries,
    Wait,
    follow_up,
    next_move,
)
from service.delivery.outage import OUTAGE_AFTER, Outage
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
from service.domain.pace import BACKOFF_CAP_S, BACKOFF_SPREAD, LATENESS_MADE_UP_S, backoff_s

UNREACHABLE = Retry(reason=Reason.SLACK_UNREACHABLE, message="no connection: ClientConnectorError")
SERVER_ERROR = Retry(reason=Reason.SERVER_ERROR, message="HTTP 503", http_status=503)
SENT = Sent(http_status=200)
REJECTED = Rejected(reason=Reason.NOT_FOUND, message="HTTP 404: channel_not_found", http_status=404)
IN_DOUBT = InDoubt(reason=Reason.RESPONSE_LOST, message="no complete answer: TimeoutError")

moments = st.floats(0, 10_000)
maybe_moments = moments | st.just(-math.inf)


def followed_up(
    result: SendResult,
    *,
    tries: Tries | None = None,
    lane: LaneState | None = None,
    now: float = 100.0,
    max_retries: int = 3,
    jitter: float = 0.0,
    is_probe: bool = False,
) -> FollowUp:
    """Judge one answer; what is not given is as at the start of a run."""
    return follow_up(
        result,
        Tries(place=0) if tries is None else tries,
        LaneState(interval=1) if lane is None else lane,
        now=now,
        max_retries=max_retries,
        jitter=jitter,
        is_probe=is_probe,
    )


# The pace


def leaving_times(count: int, *, interval: float, latenesses: list[float]) -> list[float]:
    """Return when `count` messages leave a lane that always has one, each turn noticed so much too late."""
    lane = LaneState(interval=interval)
    now = 0.0
    left: list[float] = []
    while len(left) < count:
        move = next_move(lane, now, ready_at=now, drained=False, last_claim_at=math.inf)
        if isinstance(move, Wait):
            assert move.until is not None
            assert move.until > now
            now = move.until + latenesses[len(left) % len(latenesses)]
            continue
        assert isinstance(move, Send)
        lane.take_turn(now)
        left.append(now)
    return left


@given(st.integers(1, 200), st.floats(0.1, 100))
def test_n_messages_take_n_minus_one_intervals(count: int, rate: float) -> None:
    """At r a second, N messages take (N - 1) / r s, less what may be made up; the first goes at once."""
    left = leaving_times(count, interval=1 / rate, latenesses=[0.0])
    assert left[0] == 0
    whole = (count - 1) / rate
    assert whole - LATENESS_MADE_UP_S - 1e-6 <= left[-1] <= whole + 1e-6


@given(st.integers(2, 200), st.floats(0.1, 20), st.lists(st.floats(0, LATENESS_MADE_UP_S), min_size=1))
def test_small_lateness_does_not_add_up(count: int, rate: float, latenesses: list[float]) -> None:
    """A timer's ordinary lateness delays its own message, not the ones after it."""
    left = leaving_times(count, interval=1 / rate, latenesses=latenesses)
    assert left[-1] <= (count - 1) / rate + LATENESS_MADE_UP_S + 1e-6


@given(st.integers(2, 100), st.floats(0.1, 200), st.lists(st.floats(0, 30), min_size=1))
def test_no_window_is_faster_than_the_pace(count: int, rate: float, latenesses: list[float]) -> None:
    """However late turns are taken, k + 1 messages in a row span k intervals, less what may be made up."""
    left = leaving_times(count, interval=1 / rate, latenesses=latenesses)
    for first in range(count):
        for last in range(first + 1, count):
            span = left[last] - left[first]
            assert span >= (last - first) / rate - LATENESS_MADE_UP_S - 1e-6


@given(st.integers(1, 50))
def test_an_unpaced_lane_never_waits(count: int) -> None:
    """With an interval of 0 everything may leave at once."""
    assert leaving_times(count, interval=0, latenesses=[0.0]) == [0.0] * count


def test_a_long_idle_lane_has_saved_nothing_up() -> None:
    """After an hour without messages the next two are an interval apart, less what may be made up."""
    lane = LaneState(interval=1)
    lane.take_turn(0)
    lane.take_turn(3600)
    assert lane.next_turn == pytest.approx(3601 - LATENESS_MADE_UP_S)


# The backoff


@pytest.mark.parametrize(("retry", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (7, 60), (100_000, 60)])
def test_backoff_doubles_up_to_a_cap(retry: int, seconds: float) -> None:
    """Without jitter the waits are 1, 2, 4 … seconds, and never more than a minute."""
    assert backoff_s(retry, jitter=0) == seconds


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_jitter_only_adds_and_only_a_quarter(retry: int, one: float, other: float) -> None:
    """A wait is never shorter than the curve, at most a quarter longer, and more jitter is more wait."""
    plain = backoff_s(retry, jitter=0)
    assert plain <= backoff_s(retry, jitter=one) < plain * (1 + BACKOFF_SPREAD) + 1e-9
    assert plain <= BACKOFF_CAP_S
    low, high = sorted((one, other))
    assert backoff_s(retry, jitter=low) <= backoff_s(retry, jitter=high)


@given(st.integers(1, 9_999))
def test_backoff_never_shrinks(retry: int) -> None:
    """A later retry never waits less than an earlier one."""
    assert backoff_s(retry, jitter=0) <= backoff_s(retry + 1, jitter=0)


# The next move


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What `decide` is asked, but for the lane and the moment."""

    ready_at: float | None
    drained: bool
    last_claim_at: float

    def __call__(self, lane: LaneState, now: float) -> Send | Wait | Stop:
        """Ask it."""
        return next_move(
            lane, now, ready_at=self.ready_at, drained=self.drained, last_claim_at=self.last_claim_at
        )


questions = st.builds(
    Question,
    ready_at=st.none() | moments,
    drained=st.booleans(),
    last_claim_at=moments | st.just(math.inf),
)
outages = st.builds(
    Outage,
    troubled=st.sets(st.integers(0, 9), max_size=OUTAGE_AFTER),
    probe_at=maybe_moments,
    unreachable_since=st.none() | moments,
    given_up=st.none() | st.sampled_from([Reason.SLACK_UNREACHABLE, Reason.ANSWERS_UNREADABLE]),
)
lanes = st.builds(
    LaneState,
    interval=st.floats(0, 10),
    next_turn=maybe_moments,
    paused_until=maybe_moments,
    in_flight=st.integers(0, 5),
    short_until=maybe_moments,
    outage=outages,
)


@given(questions, lanes, moments)
def test_sends_only_when_nothing_stands_against_it(ask: Question, lane: LaneState, now: float) -> None:
    """A message leaves exactly if there is one, its turn has come, and nothing forbids it."""
    may_send = (
        ask.ready_at is not None
        and max(lane.next_turn, lane.paused_until, lane.short_until, ask.ready_at) <= now <= ask.last_claim_at
        and lane.outage.probe_at <= now
        and lane.outage.given_up is None
        and not (lane.outage.is_on and lane.in_flight)
    )
    assert isinstance(ask(lane, now), Send) == may_send


@given(questions, lanes, moments)
def test_waits_for_the_moment_that_changes_the_answer(ask: Question, lane: LaneState, now: float) -> None:
    """A wait ends in the future, and at its end the lane sends: it never polls."""
    move = ask(lane, now)
    if isinstance(move, Wait) and move.until is not None:
        assert move.until > now
        assert ask(lane, move.until) == Send()
    elif isinstance(move, Wait):
        assert ask.ready_at is None or (lane.outage.is_on and lane.in_flight)


@given(questions, lanes, moments)
def test_to_ask_for_the_next_move_changes_nothing(ask: Question, lane: LaneState, now: float) -> None:
    """Asking twice gives the same answer, and leaves the lane as it was."""
    before = replace(lane, outage=replace(lane.outage))
    assert ask(lane, now) == ask(lane, now)
    assert lane == before


@pytest.mark.parametrize(
    ("drained", "in_flight", "now", "move"),
    [
        (True, 1, 0, Wait(None)),  # the last answer may bring its alert back
        (True, 0, 0, Stop(None)),
        (True, 1, 601, Wait(None)),  # there is nothing else to give up
        (False, 0, 599, Wait(None)),  # the outbox still feeds the queue
        (False, 0, 601, Stop(Reason.DEADLINE)),
    ],
)
def test_an_empty_queue_ends_a_lane_once_nothing_more_can_come(
    *, drained: bool, in_flight: int, now: float, move: Wait | Stop
) -> None:
    """Neither from Slack, which is waited for past the deadline, nor from the outbox, which is not."""
    lane = LaneState(interval=1, in_flight=in_flight)
    assert next_move(lane, now, ready_at=None, drained=drained, last_claim_at=600) == move


@pytest.mark.parametrize(
    ("lane", "ready_at"),
    [
        (LaneState(interval=1, paused_until=601), 5.0),
        (LaneState(interval=1, next_turn=601), 5.0),
        (LaneState(interval=1), 601.0),
    ],
)
def test_what_ends_after_the_deadline_ends_the_lane_at_once(lane: LaneState, ready_at: float) -> None:
    """A pause, turn or retry beyond the deadline is not waited for: the lane stops now, not at 600 s."""
    assert next_move(lane, 10, ready_at=ready_at, drained=False, last_claim_at=600) == Stop(Reason.DEADLINE)
    assert next_move(lane, 10, ready_at=ready_at, drained=False, last_claim_at=math.inf) == Wait(601.0)


def test_nothing_leaves_after_the_deadline() -> None:
    """A message that is ready too late stays; at the very moment it may still leave."""
    lane = LaneState(interval=0)
    assert next_move(lane, 600, ready_at=0, drained=True, last_claim_at=600) == Send()
    assert next_move(lane, 600.001, ready_at=0, drained=True, last_claim_at=600) == Stop(Reason.DEADLINE)


@pytest.mark.parametrize("reason", [Reason.SLACK_UNREACHABLE, Reason.ANSWERS_UNREADABLE])
def test_a_destination_that_is_given_up_ends_the_lane(reason: Reason) -> None:
    """Nothing of the rest is tried, whatever else would let it leave."""
    lane = LaneState(interval=0, outage=Outage(given_up=reason))
    assert next_move(lane, 0, ready_at=0, drained=False, last_claim_at=600) == Stop(reason)


def test_in_an_outage_one_message_is_on_its_way_at_a_time() -> None:
    """The next one leaves when the pause is over and nothing else is out."""
    lane = LaneState(interval=0, outage=Outage(troubled={0, 1, 2}, probe_at=5.0))
    assert next_move(lane, 1, ready_at=0, drained=False, last_claim_at=600) == Wait(5.0)
    assert next_move(lane, 5, ready_at=0, drained=False, last_claim_at=600) == Send()
    lane.in_flight = 1
    assert next_move(lane, 5, ready_at=0, drained=False, last_claim_at=600) == Wait(None)


@pytest.mark.parametrize(
    ("since", "reason"), [(None, Reason.DEADLINE), (1.0, Reason.SLACK_UNREACHABLE)], ids=["answers", "nobody"]
)
def test_an_outage_that_outlasts_the_deadline_ends_the_lane(since: float | None, reason: Reason) -> None:
    """A pause beyond the deadline is not waited for; where nobody was ever there, that is why."""
    outage = Outage(troubled={0, 1, 2}, probe_at=601.0, unreachable_since=since)
    lane = LaneState(interval=0, outage=outage)
    assert next_move(lane, 10, ready_at=0, drained=False, last_claim_at=600) == Stop(reason)


# The follow-up


@pytest.mark.parametrize(
    ("result", "status", "reason", "again_at"),
    [
        (SENT, DeliveryStatus.SENT, None, None),
        (REJECTED, DeliveryStatus.FAILED, Reason.NOT_FOUND, None),
        (IN_DOUBT, DeliveryStatus.UNKNOWN, Reason.RESPONSE_LOST, None),
        (SERVER_ERROR, DeliveryStatus.PENDING, Reason.SERVER_ERROR, 101.0),
        (UNREACHABLE, DeliveryStatus.PENDING, Reason.SLACK_UNREACHABLE, 101.0),
        (RateLimited(retry_after_s=7), DeliveryStatus.PENDING, Reason.RATE_LIMITED, 107.0),
        (NotPosted(), DeliveryStatus.PENDING, None, 100.0),
    ],
)
def test_each_answer_has_its_follow_up(
    result: SendResult, status: DeliveryStatus, reason: Reason | None, again_at: float | None
) -> None:
    """The first answer for an alert: sent, failed for good, in doubt, or to be tried again, and when."""
    after = followed_up(result, now=100)
    assert (after.status, after.reason, after.again_at) == (status, reason, again_at)
    assert after.message == getattr(result, "message", None)


@pytest.mark.parametrize("max_retries", [0, 1, 3, 10])
@pytest.mark.parametrize("result", [SERVER_ERROR, UNREACHABLE])
def test_retries_are_spent(result: Retry, max_retries: int) -> None:
    """An alert is tried 1 + max_retries times, each wait on the curve, then it has failed for that reason."""
    tries, lane, now = Tries(place=0), LaneState(interval=0), 0.0
    waits: list[float] = []
    while (after := followed_up(result, tries=tries, lane=lane, now=now, max_retries=max_retries)).again_at:
        waits.append(after.again_at - now)
        now = after.again_at
    assert waits == [backoff_s(retry, jitter=0) for retry in range(1, max_retries + 1)]
    assert (after.status, after.reason) == (DeliveryStatus.FAILED, result.reason)
    assert after.message == result.message


def test_jitter_reaches_the_wait() -> None:
    """The injected jitter spreads the retries."""
    assert followed_up(SERVER_ERROR, now=0, jitter=0.5).again_at == 1 + BACKOFF_SPREAD / 2


def test_the_tenth_rate_limit_of_an_alert_is_the_last() -> None:
    """Nine times an alert waits as Slack asks, spending no retry; then it has failed as rate-limited."""
    tries, lane = Tries(place=0), LaneState(interval=0)
    endings = [
        followed_up(RateLimited(retry_after_s=1), tries=tries, lane=lane, max_retries=0)
        for _ in range(RATE_LIMITS_PER_ALERT)
    ]
    assert RATE_LIMITS_PER_ALERT == 10
    assert {after.status for after in endings[:-1]} == {DeliveryStatus.PENDING}
    assert endings[-1].status is DeliveryStatus.FAILED
    assert endings[-1].reason is Reason.RATE_LIMITED
    assert "10" in (endings[-1].message or "")
    assert tries.retries == 0


def test_a_rate_limit_without_a_time_spends_a_retry() -> None:
    """A 429 that names no usable time backs off like a 5xx and leaves the lane open."""
    tries, lane = Tries(place=0), LaneState(interval=0)
    nameless = Retry(reason=Reason.RATE_LIMITED, message="HTTP 429", http_status=429)
    after = followed_up(nameless, tries=tries, lane=lane, now=0)
    assert (after.reason, after.again_at) == (Reason.RATE_LIMITED, 1)
    assert (tries.retries, tries.rate_limits) == (1, 0)
    assert lane.paused_until == -math.inf


@given(st.lists(st.tuples(moments, st.floats(0.001, 10_000)), min_size=1, max_size=8))
def test_pauses_only_grow(limits: list[tuple[float, float]]) -> None:
    """The lane is paused until the latest moment that any answer has asked for."""
    lane = LaneState(interval=0)
    for now, retry_after in limits:
        after = followed_up(RateLimited(retry_after_s=retry_after), lane=lane, now=now)
        assert after.again_at == lane.paused_until
    assert lane.paused_until == max(now + retry_after for now, retry_after in limits)


def test_an_alert_that_is_sent_in_an_outage_spends_no_retry() -> None:
    """It only shows whether the outage is over, and is tried again when the lane is."""
    lane = LaneState(interval=0, outage=Outage(troubled={0, 1, 2}))
    tries = Tries(place=3, retries=3)
    after = followed_up(SERVER_ERROR, tries=tries, lane=lane, now=100, max_retries=3, is_probe=True)
    assert (after.status, after.again_at) == (DeliveryStatus.PENDING, lane.outage.probe_at)
    assert (after.pause_s, tries.retries) == (1.0, 3)


def test_a_shortage_of_this_machine_delays_what_is_not_claimed_yet() -> None:
    """Nothing is spent and nothing said of the destination; what has its connection goes on."""
    tries, lane = Tries(place=0), LaneState(interval=0)
    short = NotPosted(reason=Reason.LOCAL_RESOURCES)
    first = followed_up(short, tries=tries, lane=lane, now=100)
    second = followed_up(short, tries=tries, lane=lane, now=100.5)
    assert (first.status, first.reason, first.pause_s) == (
        DeliveryStatus.PENDING,
        Reason.LOCAL_RESOURCES,
        SHORTAGE_PAUSE_S,
    )
    assert second.pause_s is None, "one pause for all that were on their way"
    assert (tries, lane.outage) == (Tries(place=0), Outage())
    assert next_move(lane, 100.5, ready_at=100, drained=False, last_claim_at=600) == Wait(101)
    assert lane.may_leave(100.5)


@given(st.lists(st.sampled_from([SERVER_ERROR, UNREACHABLE, NotPosted(), RateLimited(retry_after_s=1)])))
def test_only_pending_alerts_come_back(results: list[SendResult]) -> None:
    """Whatever the answers so far, a follow-up names a time to try again exactly if the alert is pending."""
    tries, lane = Tries(place=0), LaneState(interval=0)
    for result in results:
        after = followed_up(result, tries=tries, lane=lane)
        assert (after.again_at is not None) == (after.status is DeliveryStatus.PENDING)
