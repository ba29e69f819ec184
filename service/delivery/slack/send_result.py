"""The send result: what one POST to Slack came to. The sender classifies; the lane says what follows."""

from dataclasses import dataclass

from service.domain.delivery_status import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Slack took the message."""

    http_status: int
    channel: str | None = None
    """The id of the channel that it is in, and its timestamp there: what a bot is answered."""
    ts: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """It may work later: a 5xx, a connection that never formed, a 429 that names no time."""

    reason: Reason
    message: str
    http_status: int | None = None
    may_have_arrived: bool = False
    """Whether the message may be there all the same, which a bot can look for before it tries again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited:
    """A 429 with a usable Retry-After."""

    retry_after_s: float
    http_status: int = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Slack will not take this message, however often it is sent."""

    reason: Reason
    message: str
    http_status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InDoubt:
    """The request may have arrived, but no complete answer came back."""

    reason: Reason
    message: str
    unreadable: bool = False
    """Whether an answer came that is none, so that the request has most likely arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPosted:
    """Nothing left this process: the lane was paused, or the claim too old, when the sender came to it."""

    reason: Reason | None = None
    """`local_resources` where this machine could not open a connection."""


SendResult = Sent | Retry | RateLimited | Rejected | InDoubt | NotPosted
