"""A run does about an alert what its past allows: never a knowing duplicate, never a silent loss."""

from itertools import product
from typing import Final

import pytest

from service.delivery import AmbiguousSends, DeliveryStatus, Reason
from service.replay import Decision, Standing, decide_action
from service.run_record import Action

CHANNEL: Final = "amer-risk-alerts"
HOLD, RESEND = AmbiguousSends.HOLD, AmbiguousSends.RESEND
SEND: Final = Decision(action=Action.SEND)
NOWHERE: Final = Decision(action=Action.FAIL, reason=Reason.UNKNOWN_REGION)

PASTS: Final = [
    None,
    *(Standing(status=status, reason=reason) for status, reason in product(DeliveryStatus, (None, *Reason))),
]


def expected(past: Standing | None, channel: str | None, policy: AmbiguousSends) -> Decision:
    """Say what the specification says, case by case."""
    by_routing = NOWHERE if channel is None else SEND
    if past is None:
        return by_routing
    match past.status:
        case DeliveryStatus.SENT:
            return Decision(action=Action.SKIP_REPLAY)
        case DeliveryStatus.UNKNOWN | DeliveryStatus.SENDING:
            held = Decision(action=Action.HOLD, reason=past.reason or Reason.INTERRUPTED)
            return held if policy is HOLD or channel is None else SEND
        case DeliveryStatus.PENDING | DeliveryStatus.FAILED | DeliveryStatus.WITHDRAWN:
            return by_routing


@pytest.mark.parametrize("policy", AmbiguousSends)
@pytest.mark.parametrize("channel", [CHANNEL, None])
@pytest.mark.parametrize("status", [None, *DeliveryStatus])
def test_every_past_has_its_action(
    status: DeliveryStatus | None, channel: str | None, policy: AmbiguousSends
) -> None:
    """Over every standing with every reason, with and without a channel, under both policies."""
    for past in PASTS:
        if (past.status if past else None) == status:
            assert decide_action(past, channel, policy) == expected(past, channel, policy)


@pytest.mark.parametrize("policy", AmbiguousSends)
@pytest.mark.parametrize("channel", [CHANNEL, None])
def test_what_was_sent_is_never_sent_again(channel: str | None, policy: AmbiguousSends) -> None:
    """No policy and no change of routing makes a second message of one that Slack took."""
    standing = Standing(status=DeliveryStatus.SENT, reason=None)
    assert decide_action(standing, channel, policy).action is Action.SKIP_REPLAY


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_REGION, Reason.SLACK_UNREACHABLE, Reason.NOT_FOUND])
def test_what_failed_is_tried_again_once_it_is_routable(reason: Reason) -> None:
    """A failure, an unknown region among them, is retried by the next run that has a channel for it."""
    standing = Standing(status=DeliveryStatus.FAILED, reason=reason)
    assert decide_action(standing, None, HOLD) == NOWHERE
    assert decide_action(standing, CHANNEL, HOLD) == SEND


def test_a_doubt_without_a_channel_stays_a_doubt() -> None:
    """A held alert is not turned into a failure because its region has lost its channel meanwhile."""
    standing = Standing(status=DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST)
    assert decide_action(standing, None, HOLD) == Decision(action=Action.HOLD, reason=Reason.RESPONSE_LOST)


def test_every_alert_that_is_not_sent_says_why() -> None:
    """A hold and a failure carry a reason; what is sent, or was, needs none."""
    for past, channel, policy in product(PASTS, (CHANNEL, None), AmbiguousSends):
        decision = decide_action(past, channel, policy)
        assert (decision.reason is not None) == (decision.action in {Action.HOLD, Action.FAIL})


def test_only_the_policy_decides_about_doubts() -> None:
    """The two policies differ about alerts in doubt and about nothing else."""
    differing = {
        past.status
        for past in PASTS
        if past and decide_action(past, CHANNEL, HOLD) != decide_action(past, CHANNEL, RESEND)
    }
    assert differing == {DeliveryStatus.UNKNOWN, DeliveryStatus.SENDING}
