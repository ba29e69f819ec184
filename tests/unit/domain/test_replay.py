"""A run does about an alert what its past allows: never a knowing duplicate, never a silent loss."""

from itertools import product
from typing import Any, Final

import pytest

from service.account_risk.account_at_risk import AccountAtRisk
from service.domain.delivery_status import AmbiguousSends, DeliveryStatus, Reason
from service.domain.replay import ReplayAction, Standing, decide_action, decide_replay
from service.domain.run import Action, Restatement
from tests.support.alerts import an_alert
from tests.support.given import RESTATABLE

CHANNEL: Final = "amer-risk-alerts"
HOLD: Final = AmbiguousSends.HOLD
EARLIER: Final = "where-it-went"
SEND: Final = ReplayAction(action=Action.SEND, channel=CHANNEL)
NOWHERE: Final = ReplayAction(action=Action.FAIL, channel=None, reason=Reason.UNKNOWN_REGION)
ALERT: Final = an_alert()


def standing(
    status: DeliveryStatus, reason: Reason | None = None, *, same_source: bool = True, **facts: Any
) -> Standing:
    """Return what has become of `ALERT`, recorded from the same source with the same facts by default."""
    recorded = {**ALERT.facts, **facts}
    return Standing(status=status, reason=reason, channel=EARLIER, facts=recorded, same_source=same_source)


def decided(
    past: Standing | None, alert: AccountAtRisk, channel: str | None, policy: AmbiguousSends
) -> ReplayAction:
    """Return what a run does about an account at risk."""
    return decide_action(past, alert, channel, policy, restatable=RESTATABLE)


PASTS: Final = [
    None,
    *(standing(status, reason) for status, reason in product(DeliveryStatus, (None, *Reason))),
]


def expected(past: Standing | None, channel: str | None, policy: AmbiguousSends) -> ReplayAction:
    """Say what the specification says, case by case."""
    by_routing = NOWHERE if channel is None else SEND
    if past is None:
        return by_routing
    match past.status:
        case DeliveryStatus.SENT:
            return ReplayAction(action=Action.SKIP_REPLAY, channel=EARLIER)
        case DeliveryStatus.IN_DIGEST:
            return ReplayAction(action=Action.IN_DIGEST, channel=EARLIER)
        case DeliveryStatus.UNKNOWN | DeliveryStatus.SENDING:
            held = ReplayAction(action=Action.HOLD, channel=EARLIER, reason=past.reason or Reason.INTERRUPTED)
            # What another version of the service calls otherwise may be anything, so a person decides.
            return held if policy is HOLD or channel is None or past.reason is Reason.OTHER else SEND
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
            assert decided(past, ALERT, channel, policy) == expected(past, channel, policy)


@pytest.mark.parametrize("policy", AmbiguousSends)
@pytest.mark.parametrize("channel", [CHANNEL, None])
def test_what_was_sent_is_never_sent_again(channel: str | None, policy: AmbiguousSends) -> None:
    """No policy and no change of routing makes a second message of one that Slack took."""
    sent = standing(DeliveryStatus.SENT, arr=1, duration_months=1)
    assert decided(sent, ALERT, channel, policy).action is Action.SKIP_REPLAY


@pytest.mark.parametrize(
    ("earlier", "restated"),
    [
        ({}, None),
        ({"arr": 7}, {"arr": (7, 10_211)}),
        ({"arr": None}, {"arr": (None, 10_211)}),
        ({"duration_months": 2}, {"duration_months": (2, 3)}),
        ({"arr": 0, "duration_months": 4}, {"arr": (0, 10_211), "duration_months": (4, 3)}),
    ],
)
def test_what_was_sent_otherwise_is_restated(earlier: dict[str, Any], restated: Restatement | None) -> None:
    """Of what was sent it is said how ARR and duration read then, from whichever source; of nothing else."""
    for status, same_source in product(DeliveryStatus, (True, False)):
        past = standing(status, same_source=same_source, **earlier)
        found = decided(past, ALERT, CHANNEL, HOLD).restated
        assert found == (restated if status is DeliveryStatus.SENT else None)


def test_an_arr_that_became_unknown_is_restated() -> None:
    """Unknown is a value of its own: to lose the amount is a change, to stay without one is none."""
    sent = standing(DeliveryStatus.SENT, arr=5)
    assert decided(sent, an_alert(arr=None), CHANNEL, HOLD).restated == {"arr": (5, None)}
    sent = standing(DeliveryStatus.SENT, arr=None)
    assert decided(sent, an_alert(arr=None), CHANNEL, HOLD).restated is None


def test_what_the_same_source_no_longer_has_is_withdrawn() -> None:
    """Whatever its state, once: not what is still an alert, nor another source's, nor what is withdrawn."""
    gone = {status.value: standing(status) for status in DeliveryStatus}
    others = {f"other {name}": standing(past.status, same_source=False) for name, past in gone.items()}
    still = {ALERT.alert_id: standing(DeliveryStatus.FAILED)}
    replay = decide_replay(gone | others | still, [(ALERT, CHANNEL)], HOLD, restatable=RESTATABLE)
    assert set(replay.withdrawn) == set(gone) - {"withdrawn"}
    assert (replay.actions, replay.restated) == ([SEND], 0)


def test_a_replay_counts_what_is_restated() -> None:
    """Each alert that was sent otherwise counts once, however much of it has changed."""
    alerts = [an_alert(account_id=name) for name in "abc"]
    pasts = (
        standing(DeliveryStatus.SENT, arr=1, duration_months=1),
        standing(DeliveryStatus.SENT),
        standing(DeliveryStatus.FAILED, arr=1),
    )
    standings = {alert.alert_id: past for alert, past in zip(alerts, pasts, strict=True)}
    replay = decide_replay(standings, [(alert, CHANNEL) for alert in alerts], HOLD, restatable=RESTATABLE)
    assert (replay.restated, replay.withdrawn) == (1, [])
    assert [taken.action for taken in replay.actions] == [
        Action.SKIP_REPLAY,
        Action.SKIP_REPLAY,
        Action.SEND,
    ]
