"""Delivery events: what happens to alerts, their lanes, and the notice to support."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from service.domain.delivery_status import Outcome, Reason, SettleAs
from service.domain.lifecycle.alert_status import AlertStatus
from service.telemetry.events import Event

_SUBJECTS: Final = {"risk_alert": "account_id"}
"""What lines of the log call the subject of an alert: a stable name of theirs, for dashboards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotOpened(Event):
    """Slack has said whose token this is."""

    name = "slack_bot"
    team: str
    user: str
    channels: int
    """So many it sees; it can post where it is a member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRefused(Event):
    """Slack refuses the token, or could not be asked: messages will fail with its reason, or wait."""

    name = "slack_bot_refused"
    level = logging.ERROR
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtsReconciled(Event):
    """Alerts in doubt were looked for in their channels' history; each is counted once."""

    name = "doubts_reconciled"
    run_id: str | None
    """The run that they are of, where it looked itself."""
    found: int
    """Slack has them: they are sent."""
    resend: int
    """Slack has them not, and they are to be sent again."""
    held: int
    """Slack has them not, and a person decides."""
    unread: int
    """Nobody could look, or not for long enough."""
    unreadable: Mapping[str, str]
    """Why not, by channel."""

    @property
    def severity(self) -> int:
        """A warning where something is left for a person, or for later."""
        return logging.WARNING if self.held or self.unread else logging.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent(Event):
    """Something about an alert; never its facts, such as an account's name or owner."""

    run_id: str
    alert_type: str
    subject: str
    alert_id: str

    def values(self) -> dict[str, Any]:
        """Return the fields, the subject by the name that its type has for it."""
        values = Event.values(self)
        return {_SUBJECTS.get(self.alert_type, "subject"): values.pop("subject"), **values}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent(AlertEvent):
    """Something that a run did about an alert."""

    channel: str | None
    reason: Reason | None
    http_status: int | None
    attempts: int
    """POSTs so far in this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRetried(DeliveryEvent):
    """An alert goes back to its lane for `wait_s` seconds."""

    name = "alert_retried"
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettled(DeliveryEvent):
    """What a run did about an alert, once the ledger says so: one line per alert and run."""

    name = "alert_settled"
    outcome: Outcome
    posted: bool = False
    """Whether it was settled by the answer to a POST, or by its absence."""

    @property
    def severity(self) -> int:
        """A warning where a person has to look at it."""
        quiet = {Outcome.SENT, Outcome.WOULD_SEND, Outcome.SKIPPED_REPLAY, Outcome.IN_DIGEST, Outcome.PENDING}
        return logging.INFO if self.outcome in quiet else logging.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDecided(AlertEvent):
    """A person has settled whether Slack has an alert; the note stays in the database."""

    name = "alert_decided"
    channel: str | None
    settled_as: SettleAs
    settled_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUpdated(AlertEvent):
    """A message in Slack shows what has become of its alert."""

    name = "message_updated"
    outcome: ClassVar[str] = "shown"
    channel: str
    status: AlertStatus
    """Of the alert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNotUpdated(AlertEvent):
    """A message in Slack could not be changed, and is tried again in `wait_s` seconds, or never."""

    name = "message_not_updated"
    level = logging.WARNING
    channel: str
    reason: Reason
    wait_s: float | None

    @property
    def outcome(self) -> str:
        """What metrics count it as."""
        return "failed" if self.wait_s is None else "retried"


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePaused(Event):
    """Nothing leaves a lane for `pause_s` seconds."""

    name = "lane_paused"
    run_id: str
    channel: str
    reason: Reason
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneEnded(Event):
    """A lane was given up with `alerts_untried` alerts not tried."""

    name = "lane_ended"
    level = logging.WARNING
    run_id: str
    channel: str
    reason: Reason
    alerts_untried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeEvent(Event):
    """What became of a run's support notice about `accounts` accounts."""

    run_id: str
    accounts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSent(NoticeEvent):
    """The mail server took it."""

    name = "notice_sent"
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeWritten(NoticeEvent):
    """It was written to a file, in the absence of a mail server."""

    name = "notice_written"
    level = logging.WARNING
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeUnchanged(NoticeEvent):
    """There is none: support was notified of just the same after the last run."""

    name = "notice_unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFailed(NoticeEvent):
    """It could not be delivered; `error` names the kind, never the content."""

    name = "notice_failed"
    level = logging.ERROR
    error: str
