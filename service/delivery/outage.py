"""The outage: what a lane knows of a destination that fails, and when it tries the next message. Pure.

A trouble is an answer that says nothing of the message: a server error, no connection, or none that could be
read. Three alerts in trouble, with no other answer in between, make an outage: the lane pauses, and then lets
one message out at a time to see whether it is over. Each one that fails makes the next pause longer.

A webhook that is dead is no trouble that passes: three rejections in a row that say so give it up at once.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from service.delivery.slack.send_result import InDoubt, Rejected, Retry
from service.domain.delivery_status import Reason
from service.domain.pace import backoff_s

OUTAGE_AFTER: Final = 3
"""So many alerts in trouble in a row: one alone may be its own message's fault."""
UNREADABLE_AFTER: Final = 3
"""So many answers in a row that came and could not be read: each message is likely to be in Slack, so that to
go on would put every alert in doubt."""
DEAD_AFTER: Final = 3
"""So many messages in a row that the webhook itself was the reason to reject."""
DEAD: Final = frozenset({403, 404, 410})
"""What Slack answers for a webhook that was revoked, or whose app or channel is gone."""
REFUSED: Final = frozenset({Reason.UNAUTHORIZED, Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.GONE})
"""The same of a bot, where Slack answers 200 with a word: its token, or its channel, is the reason."""
UNREACHABLE_PATIENCE_S: Final = 120.0
"""Where no connection could be made for so long, the address is more likely wrong than Slack away."""


_DEAD: Final = (
    "the webhook is dead ({}): it rejected so many in a row that the rest of the lane was not tried"
)
_REFUSED: Final = "the bot is refused ({}): so many in a row that the rest of the lane was not tried"
_WHY_UNTRIED: Final = {
    Reason.FORBIDDEN: _DEAD.format("HTTP 403"),
    Reason.NOT_FOUND: _DEAD.format("HTTP 404"),
    Reason.GONE: _DEAD.format("HTTP 410"),
    Reason.SLACK_UNREACHABLE: "no connection could be made, so the rest of the lane was not tried",
    Reason.ANSWERS_UNREADABLE: "answers could not be read, so the rest of the lane was not sent",
    Reason.DEADLINE: "the delivery deadline came first; the next run of the period sends it",
}
"""For people: why the rest of a lane did not leave."""


@dataclass(slots=True, kw_only=True)
class Outage:
    """The troubles of a lane since the last answer that was none; moments are monotonic seconds."""

    troubled: set[int] = field(default_factory=set)
    """The alerts in trouble, by their place in the order of sending; no more than make an outage."""
    reason: Reason | None = None
    """Of the latest trouble."""
    pauses: int = 0
    probe_at: float = -math.inf
    """When the next message may leave, as far as the outage is concerned."""
    unreachable_since: float | None = None
    unreadable: int = 0
    rejected_as_dead: int = 0
    """So many in a row."""
    given_up: Reason | None = None
    """Why the lane is not waited for any longer."""
    refusal: str | None = None
    """What Slack said to the bot when that was the reason."""

    @property
    def is_on(self) -> bool:
        """Whether there is an outage, so that one message leaves at a time."""
        return len(self.troubled) >= OUTAGE_AFTER

    @property
    def at_deadline(self) -> Reason:
        """Why the rest of the lane does not leave when the run's time is up."""
        is_unreachable = self.is_on and self.unreachable_since is not None
        return Reason.SLACK_UNREACHABLE if is_unreachable else Reason.DEADLINE

    def why_untried(self, reason: Reason) -> str:
        """Return, for people, why the rest of the lane did not leave."""
        if self.refusal is not None:
            return _REFUSED.format(self.refusal)
        failing = f" (until then the destination was failing: {self.reason})"
        return _WHY_UNTRIED[reason] + (failing if reason is Reason.DEADLINE and self.is_on else "")

    def over(self) -> None:
        """Forget all troubles: the destination has answered."""
        Outage.__init__(self)

    def note_rejected(self, rejected: Rejected) -> None:
        """Take note of an answer that ends all troubles, but may say of the webhook that it is dead."""
        # Of webhooks only a body that is no answer of Slack's is rejected with a 200.
        is_bots = rejected.http_status == 200 and rejected.reason in REFUSED  # noqa: PLR2004
        dead = self.rejected_as_dead + 1 if is_bots or rejected.http_status in DEAD else 0
        self.over()
        self.rejected_as_dead = dead
        if dead >= DEAD_AFTER:
            self.given_up = rejected.reason
            self.refusal = rejected.message if is_bots else None

    def note(self, trouble: Retry | InDoubt, place: int, *, now: float, jitter: float) -> float | None:
        """Take note of a trouble of the alert at `place`; return for how many seconds the lane pauses now."""
        if not self.is_on:
            self.troubled.add(place)
        self.reason = trouble.reason
        self.rejected_as_dead = 0
        self._note_whether_given_up(trouble, now)
        if not self.is_on or now < self.probe_at:
            return None
        self.pauses += 1
        pause_s = backoff_s(self.pauses, jitter=jitter)
        self.probe_at = now + pause_s
        return pause_s

    def _note_whether_given_up(self, trouble: Retry | InDoubt, now: float) -> None:
        """Give the destination up where to wait on would be in vain."""
        is_unreadable = isinstance(trouble, InDoubt) and trouble.unreadable
        self.unreadable = self.unreadable + 1 if is_unreadable else 0
        if trouble.reason is not Reason.SLACK_UNREACHABLE:
            self.unreachable_since = None
        elif self.unreachable_since is None:
            self.unreachable_since = now
        if self.unreadable >= UNREADABLE_AFTER:
            self.given_up = Reason.ANSWERS_UNREADABLE
        elif (
            self.is_on
            and self.unreachable_since is not None
            and now - self.unreachable_since >= UNREACHABLE_PATIENCE_S
        ):
            self.given_up = Reason.SLACK_UNREACHABLE
