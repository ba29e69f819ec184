"""The replay: what a run does about its alerts, given what has become of them before. Pure.

The preview and the run ask the same function, so what the one says the other does.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from service.domain.alert import Alert, Fact, RecordedAlert
from service.domain.delivery_status import AmbiguousSends, DeliveryStatus, Outcome, Reason
from service.domain.lifecycle.problem import Problem
from service.domain.run import Action, Restatement

_OUTCOME_UNSENT: Final = {
    Action.SKIP_REPLAY: Outcome.SKIPPED_REPLAY,
    Action.HOLD: Outcome.UNKNOWN,
    Action.FAIL: Outcome.FAILED,
    Action.IN_DIGEST: Outcome.IN_DIGEST,
}


class Standing(NamedTuple):
    """What has become of an alert in earlier runs. A tuple: it is made of every alert that a replay meets."""

    status: DeliveryStatus
    reason: Reason | None
    channel: str | None
    """Where it went, or was to go."""
    facts: Mapping[str, Fact]
    """As it was last recorded."""
    same_source: bool
    """Whether the run that last recorded it read the source that is read now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedAlert:
    """An alert with the channel that its route leads to, and the message for it."""

    alert: RecordedAlert
    channel: str | None
    payload: str
    """The body of the POST: JSON text."""
    problem: Problem
    why_unrouted: str | None = None
    """Why there is no channel."""
    in_digest: bool = False
    """Whether another alert of the same evaluation stands for it."""


class ReplayAction(NamedTuple):
    """What is done about one alert, and why it is not sent where it is not. A tuple, as a standing is."""

    action: Action
    channel: str | None
    """Where it goes; of what went, or may have gone, where to."""
    reason: Reason | None = None
    restated: Restatement | None = None

    def outcome(self, *, sends: Outcome) -> Outcome:
        """Return the outcome to begin with; `sends` is that of an alert which is (or would be) sent."""
        return sends if self.action is Action.SEND else _OUTCOME_UNSENT[self.action]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a run does about the alerts of its evaluation, and about those that it no longer has."""

    alert_ids: list[str]
    actions: list[ReplayAction]
    """Both in the order of the alerts."""
    withdrawn: list[str]
    """Ids of the alerts last recorded from the same source that are alerts no more."""

    @property
    def restated(self) -> int:
        """How many were sent before, and otherwise."""
        return sum(taken.restated is not None for taken in self.actions)


def decide_replay(
    standings: Mapping[str, Standing],
    alerts: Iterable[tuple[Alert, str | None]],
    ambiguous: AmbiguousSends,
    *,
    restatable: Collection[str],
    in_digest: Collection[str] = (),
) -> Replay:
    """Say what a run does about all its alerts; each comes with the channel that its route leads to.

    `restatable` names the facts that are compared with what was sent; `in_digest` has the ids of alerts that
    another one stands for, where they are new.
    """
    alert_ids: list[str] = []
    actions: list[ReplayAction] = []
    for alert, channel in alerts:
        alert_id = alert.alert_id
        alert_ids.append(alert_id)
        standing = standings.get(alert_id)
        if standing is None and alert_id in in_digest:
            actions.append(ReplayAction(action=Action.IN_DIGEST, channel=channel))
        else:
            actions.append(decide_action(standing, alert, channel, ambiguous, restatable=restatable))
    evaluated = set(alert_ids)
    withdrawn = [
        alert_id
        for alert_id, standing in standings.items()
        if alert_id not in evaluated
        and standing.same_source
        and standing.status is not DeliveryStatus.WITHDRAWN
    ]
    return Replay(alert_ids=alert_ids, actions=actions, withdrawn=withdrawn)


def decide_action(
    standing: Standing | None,
    alert: Alert,
    channel: str | None,
    ambiguous: AmbiguousSends,
    *,
    restatable: Collection[str],
) -> ReplayAction:
    """Say what a run does about an alert.

    What was sent stays sent, and what a digest stands for is never sent by itself; what is in doubt is held
    unless `ambiguous` says to send it again and it can be, and an alert without a channel fails before
    anything is posted; everything else is sent.
    """
    if standing is not None:
        if standing.status is DeliveryStatus.SENT:
            restated = _restated(standing.facts, alert.facts, restatable)
            return ReplayAction(action=Action.SKIP_REPLAY, channel=standing.channel, restated=restated)
        if standing.status is DeliveryStatus.IN_DIGEST:
            return ReplayAction(action=Action.IN_DIGEST, channel=standing.channel)
        in_doubt = standing.status in {DeliveryStatus.UNKNOWN, DeliveryStatus.SENDING}
        # What another version calls otherwise may be anything but ours to send.
        held = ambiguous is AmbiguousSends.HOLD or standing.reason is Reason.OTHER
        # Without a channel nothing can be resent, and a failure would forget the doubt.
        if in_doubt and (held or channel is None):
            reason = standing.reason or Reason.INTERRUPTED
            return ReplayAction(action=Action.HOLD, channel=standing.channel, reason=reason)
    if channel is None:
        return ReplayAction(action=Action.FAIL, channel=None, reason=Reason.UNKNOWN_REGION)
    return ReplayAction(action=Action.SEND, channel=channel)


def _restated(
    before: Mapping[str, Fact], now: Mapping[str, Fact], names: Collection[str]
) -> Restatement | None:
    """Say what is no longer as it was sent; of a fact that was not recorded nothing can be said."""
    found = {
        name: (before[name], now[name])
        for name in names
        if name in before and name in now and before[name] != now[name]
    }
    return found or None
