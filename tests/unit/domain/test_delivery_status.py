"""The states of a delivery: their table agrees with itself, with the drawing and with the lane."""

import re
from itertools import product
from pathlib import Path

import pytest

from service.delivery.lane import LaneState, Tries, follow_up
from service.delivery.slack.send_result import (
    InDoubt,
    NotPosted,
    RateLimited,
    Rejected,
    Retry,
    SendResult,
    Sent,
)
from service.domain import delivery_status as delivery
from service.domain.delivery_status import (
    TRANSITIONS,
    DeliveryStatus,
    Outcome,
    Reason,
    Step,
    check_transition,
)
from service.domain.replay import Standing, decide_action
from service.domain.run import Action
from tests.support.alerts import an_alert

DRAWING = Path(__file__).parents[3] / "docs" / "architecture.md"


def exits(state: DeliveryStatus | None) -> set[DeliveryStatus]:
    """Return what a state is left to; None stands for an alert that is not in the outbox."""
    return {way.end for way in TRANSITIONS if way.start is state}


def test_the_drawing_shows_every_transition_and_no_other() -> None:
    """The diagram in docs/architecture.md has an arrow for each way in the table."""
    (diagram,) = [
        part for part in DRAWING.read_text().split("```") if "stateDiagram" in part and "withdrawn" in part
    ]
    drawn = set(re.findall(r"^ *(\S+) --> ([^\s:]+)", diagram, re.MULTILINE))
    final = ("sent", "[*]")
    assert drawn == {(str(way.start or "[*]"), str(way.end)) for way in TRANSITIONS} | {final}


def test_every_transition_is_named_once() -> None:
    """No way stands twice in the table, and every step has one."""
    assert len({(way.step, way.start, way.end) for way in TRANSITIONS}) == len(TRANSITIONS)
    assert {way.step for way in TRANSITIONS} == set(Step)


def test_sent_has_no_exit() -> None:
    """What Slack took stays so, and it is the only state without an exit."""
    assert [state for state in DeliveryStatus if not exits(state)] == [DeliveryStatus.SENT]


def test_sending_is_entered_by_a_claim_only() -> None:
    """Only a pending alert becomes `sending`, so that nothing is posted that was not claimed."""
    ways = [(way.step, way.start) for way in TRANSITIONS if way.end is DeliveryStatus.SENDING]
    assert ways == [(Step.CLAIM, DeliveryStatus.PENDING)]


def test_every_state_is_reached_and_leads_to_sent() -> None:
    """From nothing every state can be reached, and from every state `sent`: nothing is lost for good."""

    def reached_from(start: DeliveryStatus | None) -> set[DeliveryStatus]:
        seen = exits(start)
        while more := set[DeliveryStatus]().union(*(exits(state) for state in seen)) - seen:
            seen |= more
        return seen

    assert reached_from(None) == set(DeliveryStatus)
    for state in DeliveryStatus:
        assert DeliveryStatus.SENT in reached_from(state) | {state}


def test_a_step_that_is_not_in_the_table_is_refused() -> None:
    """Over all steps and states: what the table has passes, staying passes, everything else raises."""
    allowed = {(way.step, way.start, way.end) for way in TRANSITIONS}
    for step, start, end in product(Step, (None, *DeliveryStatus), DeliveryStatus):
        if start is end or (step, start, end) in allowed:
            check_transition(step, start, end)
        else:
            with pytest.raises(ValueError, match=f"{step} must not"):
                check_transition(step, start, end)


ANSWERS: list[SendResult] = [
    Sent(http_status=200),
    RateLimited(retry_after_s=1),
    NotPosted(),
    InDoubt(reason=Reason.RESPONSE_LOST, message=""),
    Rejected(reason=Reason.BAD_REQUEST, message="", http_status=400),
    Retry(reason=Reason.SERVER_ERROR, message="", http_status=500),
    Retry(reason=Reason.SLACK_UNREACHABLE, message=""),
]


def test_the_settle_leads_where_the_table_says() -> None:
    """Over every answer, with and without retries left, the statuses are exactly where a settle may lead."""
    ends = {
        follow_up(
            answer,
            Tries(place=0, retries=spent, rate_limits=spent),
            LaneState(interval=0),
            now=0,
            max_retries=3,
            jitter=0,
        ).status
        for answer, spent in product(ANSWERS, (0, 9))
    }
    assert ends == {way.end for way in TRANSITIONS if way.step is Step.SETTLE}


@pytest.mark.parametrize("policy", delivery.AmbiguousSends)
def test_what_is_sent_again_may_become_pending(policy: delivery.AmbiguousSends) -> None:
    """Wherever a run decides to send, the table allows the way to `pending`."""
    for status in DeliveryStatus:
        alert = an_alert()
        standing = Standing(
            status=status,
            reason=None,
            channel="channel",
            facts=alert.facts,
            same_source=True,
        )
        taken = decide_action(standing, alert, "channel", policy, restatable=())
        # None is `sending` then: the rescue of a dead run comes before the recording of the next.
        if taken.action is Action.SEND and status is not DeliveryStatus.SENDING:
            check_transition(Step.RECORD, status, DeliveryStatus.PENDING)


@pytest.mark.parametrize(
    "words", [DeliveryStatus, Outcome, Reason, delivery.AmbiguousSends, delivery.SettleAs]
)
def test_words_are_those_of_the_interface(words: type[DeliveryStatus | Outcome | Reason]) -> None:
    """The values stand in rows, logs and answers: lower case, and each its own name."""
    for word in words:
        assert word.value == word.name.lower()


def test_outcomes_are_the_counts_of_the_interface() -> None:
    """What a run reports of an alert is one of the outcomes that the specification names."""
    assert {outcome.value for outcome in Outcome} - {"pending"} == {
        *("sent", "would_send", "skipped_replay", "failed", "unknown", "unsent", "in_digest"),
    }
