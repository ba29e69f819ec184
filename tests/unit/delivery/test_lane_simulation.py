"""A lane against a made-up Slack, in made-up time: what is promised holds whatever Slack answers."""

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.delivery.lane import (
    RATE_LIMITS_PER_ALERT,
    FollowUp,
    LaneState,
    Send,
    Stop,
    Tries,
    Wait,
    follow_up,
    next_move,
)
from service.delivery.outage import OUTAGE_AFTER, UNREACHABLE_PATIENCE_S, UNREADABLE_AFTER
from service.delivery.senders import has_free_sender
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
from service.domain.pace import BACKOFF_CAP_S, LATENESS_MADE_UP_S

LANE: Final = "amer-risk-alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Slack says to one POST, and how long that takes."""

    result: SendResult
    claim_s: float
    """From the move to the POST: the claim's commit."""
    latency_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A lane's circumstances."""

    alerts: int
    interval: float
    concurrency: int
    max_retries: int
    deadline_s: float


@dataclass(slots=True, kw_only=True)
class Course:
    """What happened."""

    posts: list[tuple[float, int]] = field(default_factory=list)
    """(when, alert) of every POST, in order."""
    turns: list[float] = field(default_factory=list)
    answers: list[tuple[float, int, SendResult]] = field(default_factory=list)
    probes: int = 0
    """How many of the POSTs were made during an outage."""
    afters: dict[int, FollowUp] = field(default_factory=dict)
    """The last follow-up for each alert that got one."""
    end: Stop | None = None
    ended_at: float = 0.0


def play(setting: Setting, answers: list[Answer] | Callable[[float], Answer]) -> Course:
    """Run the lane to its end as the dispatcher does, with `answers` in turn, over and over, or by the time.

    Alerts are numbered in the order of sending; a retry that is due goes before what was never tried.
    """
    lane, course = LaneState(interval=setting.interval), Course()
    untried = deque(range(setting.alerts))
    retries: list[tuple[float, int]] = []
    tries = [Tries(place=place) for place in range(setting.alerts)]
    probes: set[int] = set()
    # (when, its place in time, alert, answer, whether it is the answer's arrival): else the POST's departure.
    events: list[tuple[float, int, int, Answer, bool]] = []
    now, given, last_claim_at = 0.0, 0, math.inf
    while True:
        due = retries[0][0] if retries else None
        ready_at = min(now, due or now) if untried else due
        move = next_move(lane, now, ready_at=ready_at, drained=True, last_claim_at=last_claim_at)
        if course.end is None and isinstance(move, Stop):
            course.end, course.ended_at = move, now
        may_send = course.end is None and isinstance(move, Send)
        if may_send and has_free_sender({LANE: lane.in_flight}, LANE, concurrency=setting.concurrency):
            alert = heapq.heappop(retries)[1] if due is not None and due <= now else untried.popleft()
            answer = answers(now) if callable(answers) else answers[given % len(answers)]
            given += 1
            (probes.add if lane.outage.is_on else probes.discard)(alert)
            lane.in_flight += 1
            lane.take_turn(now)
            course.turns.append(now)
            last_claim_at = min(last_claim_at, now + setting.deadline_s)
            heapq.heappush(events, (now + answer.claim_s, given, alert, answer, False))
            continue
        until = move.until if isinstance(move, Wait) else None
        if events and (course.end is not None or until is None or events[0][0] <= until):
            now, place, alert, answer, arrives = heapq.heappop(events)
            if not arrives and lane.may_leave(now):
                course.posts.append((now, alert))
                heapq.heappush(events, (now + answer.latency_s, place, alert, answer, True))
                continue
            result = answer.result if arrives else NotPosted()
            after = follow_up(
                result,
                tries[alert],
                lane,
                now=now,
                max_retries=setting.max_retries,
                jitter=0.5,
                is_probe=alert in probes,
            )
            course.probes += alert in probes and arrives
            lane.in_flight -= 1
            course.answers.append((now, alert, result))
            course.afters[alert] = after
            if after.again_at is not None:
                heapq.heappush(retries, (after.again_at, alert))
        elif course.end is not None:
            return course
        else:
            assert until is not None, "the lane waits for something that never happens"
            now = until


results: st.SearchStrategy[SendResult] = st.one_of(
    st.just(Sent(http_status=200)),
    st.builds(RateLimited, retry_after_s=st.sampled_from((0.05, 1.0, 5.0, 3600.0))),
    st.just(Retry(reason=Reason.SERVER_ERROR, message="HTTP 503", http_status=503)),
    st.just(Retry(reason=Reason.RATE_LIMITED, message="HTTP 429", http_status=429)),
    st.just(Retry(reason=Reason.SLACK_UNREACHABLE, message="no connection")),
    st.just(Rejected(reason=Reason.BAD_REQUEST, message="HTTP 400", http_status=400)),
    st.builds(
        InDoubt,
        reason=st.just(Reason.RESPONSE_LOST),
        message=st.just("no complete answer"),
        unreadable=st.booleans(),
    ),
)
answers_of_slack = st.lists(
    st.builds(
        Answer,
        result=results,
        claim_s=st.sampled_from((0.0, 0.0, 0.01, 2.0)),
        latency_s=st.sampled_from((0.0, 0.05, 0.3, 10.0)),
    ),
    min_size=1,
    max_size=30,
)
settings = st.builds(
    Setting,
    alerts=st.integers(1, 25),
    interval=st.sampled_from((0.0, 0.1, 1.0)),
    concurrency=st.integers(1, 8),
    max_retries=st.integers(0, 4),
    deadline_s=st.sampled_from((20.0, 600.0, 40_000.0)),
)

ALWAYS_LATER: Final = Answer(result=RateLimited(retry_after_s=1.0), claim_s=0.01, latency_s=0.05)
REFUSED: Final = Answer(
    result=Retry(reason=Reason.SLACK_UNREACHABLE, message="no connection"), claim_s=0.0, latency_s=0.0
)
ORDINARY: Final = Setting(alerts=20, interval=1.0, concurrency=8, max_retries=3, deadline_s=600.0)


@given(settings, answers_of_slack)
@example(ORDINARY, [ALWAYS_LATER])
def test_nothing_is_posted_inside_a_pause(setting: Setting, answers: list[Answer]) -> None:
    """From the moment a 429 is read until its Retry-After is over, no request leaves the lane."""
    course = play(setting, answers)
    for heard_at, _, result in course.answers:
        if isinstance(result, RateLimited):
            over_at = heard_at + result.retry_after_s
            assert not [when for when, _ in course.posts if heard_at < when < over_at]


@given(settings, answers_of_slack)
def test_tries_are_bounded(setting: Setting, answers: list[Answer]) -> None:
    """An alert is posted at most 1 + max_retries times, 10 times that a 429 names a time, and in outages."""
    course = play(setting, answers)
    for alert in range(setting.alerts):
        answered = [result for _, who, result in course.answers if who == alert]
        limited = sum(isinstance(result, RateLimited) for result in answered)
        posted = sum(who == alert for _, who in course.posts)
        assert limited <= RATE_LIMITS_PER_ALERT
        assert posted - limited - course.probes <= 1 + setting.max_retries


@given(settings, answers_of_slack)
def test_turns_keep_the_pace(setting: Setting, answers: list[Answer]) -> None:
    """Retries take turns like everything else: k + 1 of them in a row span k intervals."""
    turns = play(setting, answers).turns
    for first, begin in enumerate(turns):
        for last in range(first + 1, len(turns)):
            assert turns[last] - begin >= (last - first) * setting.interval - LATENESS_MADE_UP_S - 1e-6


@given(settings, answers_of_slack)
@example(ORDINARY, [REFUSED])
def test_the_lane_always_ends(setting: Setting, answers: list[Answer]) -> None:
    """A lane ends drained, at its deadline or given up; drained, every alert has a final follow-up."""
    course = play(setting, answers)
    assert course.end in {
        Stop(reason)
        for reason in (None, Reason.DEADLINE, Reason.SLACK_UNREACHABLE, Reason.ANSWERS_UNREADABLE)
    }
    if course.end == Stop(None):
        assert sorted(course.afters) == list(range(setting.alerts))
        assert DeliveryStatus.PENDING not in {after.status for after in course.afters.values()}


@given(settings, answers_of_slack)
def test_no_turn_is_taken_after_the_deadline(setting: Setting, answers: list[Answer]) -> None:
    """Nothing is claimed after the deadline, and then the lane waits only for what is on its way."""
    course = play(setting, answers)
    assert course.turns[-1] <= setting.deadline_s
    longest = max(answer.claim_s + answer.latency_s for answer in answers)
    assert course.ended_at <= setting.deadline_s + longest + 1e-6


@given(settings, answers_of_slack)
def test_what_is_settled_stays_settled(setting: Setting, answers: list[Answer]) -> None:
    """After sent, failed or in doubt an alert is never posted again in the same run."""
    course = play(setting, answers)
    for alert in range(setting.alerts):
        final = [
            place
            for place, (_, who, result) in enumerate(course.answers)
            if who == alert and isinstance(result, Sent | Rejected | InDoubt)
        ]
        mine = [place for place, (_, who, _) in enumerate(course.answers) if who == alert]
        assert not final or final == mine[-1:]


SERVER_ERROR: Final = Answer(
    result=Retry(reason=Reason.SERVER_ERROR, message="HTTP 503", http_status=503), claim_s=0.0, latency_s=0.1
)
RESET: Final = Answer(
    result=InDoubt(reason=Reason.RESPONSE_LOST, message="no complete answer"), claim_s=0.0, latency_s=0.1
)
HANGS: Final = Answer(result=RESET.result, claim_s=0.0, latency_s=10.0)
BROKEN: Final = Answer(
    result=InDoubt(reason=Reason.RESPONSE_LOST, message="no complete answer", unreadable=True),
    claim_s=0.0,
    latency_s=0.1,
)
WELL: Final = Answer(result=Sent(http_status=200), claim_s=0.0, latency_s=0.1)
UNPACED: Final = Setting(alerts=500, interval=0.0, concurrency=8, max_retries=3, deadline_s=600.0)


def outage_of(seconds: float, trouble: Answer) -> Callable[[float], Answer]:
    """Return a Slack that is in trouble at first, and well afterwards."""
    return lambda now: trouble if now < seconds else WELL


def ended(course: Course, status: DeliveryStatus) -> int:
    """Count the alerts that came to an end, by their last follow-up."""
    return sum(after.status is status for after in course.afters.values())


@pytest.mark.parametrize("setting", [ORDINARY, UNPACED], ids=["paced", "unpaced"])
@pytest.mark.parametrize("trouble", [SERVER_ERROR, REFUSED], ids=["503", "refused"])
@pytest.mark.parametrize("seconds", [12.0, 60.0])
def test_an_outage_that_passes_fails_nothing(setting: Setting, trouble: Answer, seconds: float) -> None:
    """What certainly was not delivered is, once Slack is back: within the deadline all are sent."""
    course = play(setting, outage_of(seconds, trouble))
    assert (course.end, ended(course, DeliveryStatus.SENT)) == (Stop(None), setting.alerts)
    assert course.ended_at < 3 * seconds + setting.alerts * setting.interval


@pytest.mark.parametrize("setting", [ORDINARY, UNPACED], ids=["paced", "unpaced"])
@pytest.mark.parametrize("trouble", [RESET, HANGS], ids=["reset", "hang"])
@pytest.mark.parametrize("seconds", [12.0, 60.0])
def test_an_outage_that_passes_leaves_few_doubts(setting: Setting, trouble: Answer, seconds: float) -> None:
    """What was on its way when it began, and one for each look whether it is over."""
    course = play(setting, outage_of(seconds, trouble))
    doubts = ended(course, DeliveryStatus.UNKNOWN)
    assert (course.end, ended(course, DeliveryStatus.SENT)) == (Stop(None), setting.alerts - doubts)
    assert doubts <= OUTAGE_AFTER - 1 + setting.concurrency + course.probes
    assert course.probes <= 6


@pytest.mark.parametrize("trouble", [RESET, HANGS, SERVER_ERROR], ids=["reset", "hang", "503"])
def test_an_endless_outage_stays_cheap(trouble: Answer) -> None:
    """Until the deadline a message now and then is tried, and the rest waits for the next run."""
    course = play(UNPACED, [trouble])
    assert course.end == Stop(Reason.DEADLINE)
    assert ended(course, DeliveryStatus.UNKNOWN) <= OUTAGE_AFTER - 1 + UNPACED.concurrency + course.probes
    assert ended(course, DeliveryStatus.FAILED) == 0
    assert course.probes <= 16
    assert course.ended_at >= UNPACED.deadline_s - 2 * BACKOFF_CAP_S


def test_a_dead_destination_is_given_up_after_two_minutes() -> None:
    """Where nothing ever connects the lane ends long before the deadline; no alert has failed by itself."""
    course = play(UNPACED, [REFUSED])
    assert course.end == Stop(Reason.SLACK_UNREACHABLE)
    assert UNREACHABLE_PATIENCE_S <= course.ended_at <= 2 * UNREACHABLE_PATIENCE_S
    assert ended(course, DeliveryStatus.FAILED) == 0
    assert len(course.posts) <= 20


@pytest.mark.parametrize("alerts", [1, 2])
def test_the_last_alerts_of_a_lane_spend_their_retries(alerts: int) -> None:
    """Too few to tell an outage from what is wrong with them: they fail after four tries, in seconds."""
    course = play(replace(UNPACED, alerts=alerts), [SERVER_ERROR])
    assert (course.end, ended(course, DeliveryStatus.FAILED)) == (Stop(None), alerts)
    assert len(course.posts) == 4 * alerts
    assert course.ended_at < 12


def test_broken_answers_end_the_lane_at_once() -> None:
    """A proxy that breaks every answer puts those in doubt that were on their way, and no others."""
    course = play(UNPACED, [BROKEN])
    assert course.end == Stop(Reason.ANSWERS_UNREADABLE)
    assert ended(course, DeliveryStatus.UNKNOWN) <= UNREADABLE_AFTER - 1 + UNPACED.concurrency
    assert course.ended_at < 1


def test_an_hour_of_pause_ends_the_lane_at_once() -> None:
    """A Retry-After beyond the deadline is not waited for."""
    course = play(ORDINARY, [replace(WELL, result=RateLimited(retry_after_s=3600.0))])
    assert course.end == Stop(Reason.DEADLINE)
    assert course.ended_at < 1
    assert len(course.posts) == 1


def test_a_willing_slack_hears_everything_in_order_at_the_pace() -> None:
    """Twenty alerts at one a second take nineteen seconds and arrive in the order of sending."""
    course = play(ORDINARY, [WELL])
    assert [alert for _, alert in course.posts] == list(range(20))
    assert 19 - LATENESS_MADE_UP_S <= course.posts[-1][0] <= 19.001
    assert course.end == Stop(None)


def test_a_retry_never_holds_its_lane_up() -> None:
    """While one alert waits for its retry the others go on in their turns."""
    stumble, sent = (replace(answer, latency_s=0.0) for answer in (SERVER_ERROR, WELL))
    setting = replace(ORDINARY, alerts=4, interval=0.25, concurrency=2)
    course = play(setting, [stumble, sent, sent, sent, sent])
    assert [alert for _, alert in course.posts] == [0, 1, 2, 3, 0]
    assert 1.0 <= course.posts[-1][0] < 1.5
