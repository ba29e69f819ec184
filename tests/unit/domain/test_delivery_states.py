"""The states of a delivery: what their table says agrees with itself and with the lane's verdicts."""

import re
from itertools import product

import pytest

from service.delivery.lane import LaneState, Tries, judge
from service.delivery.send_result import InDoubt, NotPosted, RateLimited, Rejected, Retry, SendResult, Sent
from service.domain import delivery_status as delivery
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.replay import Standing, decide_action
from service.domain.run import Action
from tests.support.alerts import made_alert


def documented_exits() -> dict[str, set[str]]:
    """Return, for each state in the table of the module's docstring, the states that it is left to."""
    exits: dict[str, set[str]] = {}
    state = ""
    for row in re.findall(r"^\|(.+)\|$", delivery.__doc__ or "", re.MULTILINE)[2:]:
        name, targets, by_whom = (cell.strip() for cell in row.split("|"))
        state = name or state
        assert by_whom
        exits.setdefault(state, set()).update(target.strip() for target in targets.split(","))
    return exits


def test_the_table_names_every_state() -> None:
    """Each state has its row, and each is left only to states that there are."""
    exits = documented_exits()
    assert set(exits) == set(DeliveryStatus)
    assert set().union(*exits.values()) - {"nothing"} <= set(DeliveryStatus)


def test_sent_has_no_exit() -> None:
    """What Slack took stays so, and it is the only state without an exit."""
    exits = documented_exits()
    assert [state for state, targets in exits.items() if targets == {"nothing"}] == ["sent"]
    assert not any("nothing" in targets for state, targets in exits.items() if state != "sent")


def test_sending_is_entered_by_a_claim_only() -> None:
    """Only a pending alert becomes `sending`, so that nothing is posted that was not claimed."""
    assert [state for state, targets in documented_exits().items() if "sending" in targets] == ["pending"]


def test_every_state_is_reached_and_leads_to_sent() -> None:
    """From `pending` every state can be reached, and from every state `sent`: nothing is lost for good."""
    exits = documented_exits()

    def reached_from(start: str) -> set[str]:
        seen = {start}
        while more := set().union(*(exits[state] for state in seen)) - seen - {"nothing"}:
            seen |= more
        return seen

    assert reached_from("pending") == set(DeliveryStatus)
    for state in DeliveryStatus:
        assert "sent" in reached_from(state)


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
    """Over every answer, early and late, the verdicts are exactly the documented exits of `sending`."""
    verdicts = {
        judge(
            answer,
            Tries(retries=spent, rate_limits=spent),
            LaneState(interval=0),
            now=0,
            max_retries=3,
            jitter=0,
        ).status.value
        for answer, spent in product(ANSWERS, (0, 9))
    }
    assert verdicts == documented_exits()["sending"]


@pytest.mark.parametrize("policy", delivery.AmbiguousSends)
def test_what_is_sent_again_may_become_pending(policy: delivery.AmbiguousSends) -> None:
    """Wherever a run decides to send, the table allows the way to `pending`, or the alert is there."""
    exits = documented_exits()
    for status in DeliveryStatus:
        alert = made_alert()
        standing = Standing(
            status=status,
            reason=None,
            channel="channel",
            arr=alert.arr,
            duration_months=alert.duration_months,
            same_source=True,
        )
        decision = decide_action(standing, alert, "channel", policy)
        if decision.action is Action.SEND and status not in {DeliveryStatus.PENDING, DeliveryStatus.SENDING}:
            assert "pending" in exits[status]


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
        *("sent", "would_send", "skipped_replay", "failed", "unknown", "unsent"),
    }
