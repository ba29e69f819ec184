"""Access events: who was not let in."""

from dataclasses import dataclass

from service.telemetry.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAuthenticated(Event):
    """A request showed no identity that is valid now, or a log-in wrong credentials; nothing of either."""

    name = "not_authenticated"
    code: str
    """Of the error that was answered."""
