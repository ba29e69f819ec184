"""Access events: who was not let in, and who pressed a button."""

import logging
from dataclasses import dataclass

from service.telemetry.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAuthenticated(Event):
    """A request showed no identity that is valid now, or a log-in wrong credentials; nothing of either."""

    name = "not_authenticated"
    code: str
    """Of the error that was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonPressed(Event):
    """Somebody pressed a button of a message, and this came of it."""

    name = "button_pressed"
    step: str
    alert_id: str
    slack_user: str
    outcome: str
    """`done`, `known` where it was done before, else why nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PressNotAnswered(Event):
    """Slack did not take what the person who pressed a button was to read."""

    name = "press_not_answered"
    level = logging.WARNING
    slack_user: str
