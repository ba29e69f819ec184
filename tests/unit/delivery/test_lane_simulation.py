"""A lane against a made-up Slack, in made-up time: what is promised holds whatever Slack answers."""

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from service.delivery.lane import (
    RATE_LIMITS_PER_ALERT,
    UNREACHABLE_IN_A_ROW,
    LaneState,
    Send,
    Stop,
    Tries,
    Verdict,
    Wait,
    decide,
    has_free_sender,
    judge,
)
from service.delivery.send_result import InDoubt, NotPosted, RateLimited, Rejected, Retry, SendResult, Sent
from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.pace import LATENESS_MADE_UP_S

LANE: Final = "amer-risk-alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Slack says to one POST, and how long that takes."""

    result: SendResult
    claim_s: float
    """From the decision to the POST: the claim's commit."""
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
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    """The last verdict on each alert that got one."""
    end: Stop | None = None
    ended_at: float = 0.0


def play(setting: Setting, answers: list[Answer]) -> Course:
    """Run the lane to its end as the dispatcher does, with `answers` in turn, over and over.

    Alerts are numbered in the order of sending; a retry that is due goes before what was never tried.
    """
    lane, course = LaneState(interval=setting.interval), Course()
    untried = deque(range(setting.alerts))
    retries: list[tuple[float, int]] = []
    tries = [Tries() for _ in range(setting.alerts)]
    # (when, its place in time, alert, answer, whether it is the answer's arrival): else the POST's departure.
    events: list[tuple[float, int, int, Answer, bool]] = []
    now, given, last_claim_at = 0.0, 0, math.inf
    while True:
        due = retries[0][0] if retries else None
        ready_at = min(now, due or now) if untried else due
        decision = decide(lane, now, ready_at=ready_at, drained=True, last_claim_at=last_claim_at)
        if course.end is None and isinstance(decision, Stop):
            course.end, course.ended_at = decision, now
        may_send = course.end is None and isinstance(decision, Send)
        if may_send and has_free_sender({LANE: lane.in_flight}, LANE, concurrency=setting.concurrency):
            alert = heapq.heappop(retries)[1] if due is not None and due <= now else untried.popleft()
            answer = answers[given % len(answers)]
            given += 1
            lane.in_flight += 1
            lane.take_turn(now)
            course.turns.append(now)
            last_claim_at = min(last_claim_at, now + setting.deadline_s)
            heapq.heappush(events, (now + answer.claim_s, given, alert, answer, False))
            continue
        until = decision.until if isinstance(decision, Wait) else None
        if events and (course.end is not None or until is None or events[0][0] <= until):
            now, place, alert, answer, arrives = heapq.heappop(events)
            if not arrives and now >= lane.paused_until:
                course.posts.append((now, alert))
                heapq.heappush(events, (now + answer.latency_s, place, alert, answer, True))
                continue
            result = answer.result if arrives else NotPosted()
            verdict = judge(result, tries[alert], lane, now=now, max_retries=setting.max_retries, jitter=0.5)
            lane.in_flight -= 1
            course.answers.append((now, alert, result))
            course.verdicts[alert] = verdict
            if verdict.again_at is not None:
                heapq.heappush(retries, (verdict.again_at, alert))
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
    st.just(InDoubt(reason=Reason.RESPONSE_LOST, message="no complete answer")),
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
    deadline_s=st.sampled_from((20.0, 600.0, 1e9)),
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
    """An alert is posted at most 1 + max_retries times, plus at most 10 times that a 429 names a time."""
    course = play(setting, answers)
    for alert in range(setting.alerts):
        answered = [result for _, who, result in course.answers if who == alert]
        limited = sum(isinstance(result, RateLimited) for result in answered)
        posted = sum(who == alert for _, who in course.posts)
        assert limited <= RATE_LIMITS_PER_ALERT
        assert posted - limited <= 1 + setting.max_retries


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
    """A lane ends drained, at its deadline or given up; drained, every alert has a final verdict."""
    course = play(setting, answers)
    assert course.end in {Stop(None), Stop(Reason.DEADLINE), Stop(Reason.SLACK_UNREACHABLE)}
    if course.end == Stop(None):
        assert sorted(course.verdicts) == list(range(setting.alerts))
        assert DeliveryStatus.PENDING not in {verdict.status for verdict in course.verdicts.values()}


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


def test_a_dead_destination_costs_a_few_alerts() -> None:
    """Where nothing ever connects three alerts fail, and the lane ends long before the deadline."""
    course = play(ORDINARY, [REFUSED])
    assert course.end == Stop(Reason.SLACK_UNREACHABLE)
    failed = [alert for alert, verdict in course.verdicts.items() if verdict.status is DeliveryStatus.FAILED]
    assert len(failed) == UNREACHABLE_IN_A_ROW
    assert course.ended_at < 20


def test_an_hour_of_pause_ends_the_lane_at_once() -> None:
    """A Retry-After beyond the deadline is not waited for."""
    hour = Answer(result=RateLimited(retry_after_s=3600.0), claim_s=0.0, latency_s=0.1)
    course = play(ORDINARY, [hour])
    assert course.end == Stop(Reason.DEADLINE)
    assert course.ended_at < 1
    assert len(course.posts) == 1


def test_a_willing_slack_hears_everything_in_order_at_the_pace() -> None:
    """Twenty alerts at one a second take nineteen seconds and arrive in the order of sending."""
    course = play(ORDINARY, [Answer(result=Sent(http_status=200), claim_s=0.0, latency_s=0.1)])
    assert [alert for _, alert in course.posts] == list(range(20))
    assert 19 - LATENESS_MADE_UP_S <= course.posts[-1][0] <= 19.001
    assert course.end == Stop(None)


def test_a_retry_never_holds_its_lane_up() -> None:
    """While one alert waits for its retry the others go on in their turns."""
    stumble = Answer(
        result=Retry(reason=Reason.SERVER_ERROR, message="HTTP 500", http_status=500),
        claim_s=0.0,
        latency_s=0.0,
    )
    sent = Answer(result=Sent(http_status=200), claim_s=0.0, latency_s=0.0)
    setting = Setting(alerts=4, interval=0.25, concurrency=2, max_retries=3, deadline_s=600)
    course = play(setting, [stumble, sent, sent, sent, sent])
    assert [alert for _, alert in course.posts] == [0, 1, 2, 3, 0]
    assert 1.0 <= course.posts[-1][0] < 1.5
