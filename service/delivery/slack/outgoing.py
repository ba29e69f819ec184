"""The outgoing message: what a sender needs to know of it, whichever way it posts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.delivery.senders import Senders
from service.delivery.slack.send_result import SendResult
from service.store.outbox.earlier import EarlierMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One claimed message."""

    url: str
    """Where it is posted to; a webhook is a secret."""
    channel: str
    """By id or name; a webhook knows its own."""
    payload: str
    """The JSON text of the message."""
    occurrence: str
    """The id of what is sent, and which claim of it this is: together the mark of one POST."""
    claim: int
    unsure_since: datetime | None = None
    """When an earlier POST of it was claimed that may have arrived although its answer was a 5xx."""
    earlier: EarlierMessage | None = None
    """The message before it about the same, which a bot leads to."""


class MessageSender(Protocol):
    """Posts messages: by webhooks, or as a bot."""

    senders: Senders
    """Who may use the connections; whoever posts many messages takes one first."""

    async def send(
        self, message: OutgoingMessage, *, timeout_s: float, may_leave: Callable[[], bool]
    ) -> SendResult:
        """POST a message and say what came of it; only cancellation is ever raised."""
        ...
