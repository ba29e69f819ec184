"""The replay: what a run does about an alert, given what has become of it before. Pure.

The preview and the run ask the same function, so what the one says the other does.
"""

from dataclasses import dataclass
from typing import Final

from service.alert import Alert
from service.delivery import AmbiguousSends, DeliveryStatus, Outcome, Reason
from service.run_record import Action

_OUTCOME_UNSENT: Final = {
    Action.SKIP_REPLAY: Outcome.SKIPPED_REPLAY,
    Action.HOLD: Outcome.UNKNOWN,
    Action.FAIL: Outcome.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What has become of an alert in earlier runs."""

    status: DeliveryStatus
    reason: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedAlert:
    """An alert with the channel that its region leads to, and the message for it."""

    alert: Alert
    channel: str | None
    payload: str
    """The body of the POST: JSON text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is done about one alert, and why it is not sent where it is not."""

    action: Action
    reason: Reason | None = None

    def outcome(self, *, sends: Outcome) -> Outcome:
        """Return the outcome to begin with; `sends` is that of an alert which is (or would be) sent."""
        return sends if self.action is Action.SEND else _OUTCOME_UNSENT[self.action]


def decide_action(standing: Standing | None, channel: str | None, ambiguous: AmbiguousSends) -> Decision:
    """Say what a run does about an alert.

    What was sent stays sent, what is in doubt is held unless `ambiguous` says to send it again and it can be,
    and an alert without a channel fails before anything is posted; everything else is sent.
    """
    status = standing.status if standing else None
    if status is DeliveryStatus.SENT:
        return Decision(action=Action.SKIP_REPLAY)
    in_doubt = status in {DeliveryStatus.UNKNOWN, DeliveryStatus.SENDING}
    # Without a channel nothing can be resent, and a failure would forget the doubt.
    if in_doubt and (ambiguous is AmbiguousSends.HOLD or channel is None):
        return Decision(action=Action.HOLD, reason=(standing and standing.reason) or Reason.INTERRUPTED)
    if channel is None:
        return Decision(action=Action.FAIL, reason=Reason.UNKNOWN_REGION)
    return Decision(action=Action.SEND)
