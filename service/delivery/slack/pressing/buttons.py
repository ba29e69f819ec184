"""The buttons of a message, and what Slack sends when somebody presses one. Pure.

The payload is `block_actions` (docs.slack.dev/reference/interaction-payloads/block_actions-payload).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from service.domain.lifecycle.alert_status import AlertStatus, AlertStep

_OFFERED: Final[Mapping[AlertStatus, tuple[AlertStep, ...]]] = {
    AlertStatus.TRIGGERED: (AlertStep.ACKNOWLEDGE, AlertStep.RESOLVE),
    AlertStatus.ACKNOWLEDGED: (AlertStep.RESOLVE,),
    AlertStatus.RESOLVED: (),
}
_STEPS: Final = frozenset(step for steps in _OFFERED.values() for step in steps)
_LONGEST_ID: Final = 100
_MOST_FIELDS: Final = 10


def buttons(alert_id: str, status: AlertStatus) -> dict[str, Any] | None:
    """Return the block with the steps that an alert can take next; None where there is none."""
    offered = [
        {
            "type": "button",
            "action_id": str(step),
            "text": {"type": "plain_text", "text": step.capitalize(), "emoji": False},
            "value": alert_id,
        }
        for step in _OFFERED[status]
    ]
    return {"type": "actions", "elements": offered} if offered else None


def is_user_id(text: str) -> bool:
    """Return whether Slack may call somebody so: what is a mention in a message, and no more than that."""
    return text.isascii() and text.isalnum() and text[0] in "UW" and len(text) <= _LONGEST_ID


class NotAPressError(Exception):
    """What came is no press of a button of ours; the text says what is wrong, and repeats nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Somebody pressed a button."""

    team_id: str
    """The workspace that it happened in."""
    user_id: str
    alert_id: str
    """Of the alert, or of one of its occurrences."""
    step: AlertStep
    response_url: str | None
    """Where the person may be answered for half an hour; a secret."""


def read_press(body: bytes) -> Press:
    """Return the press that a form tells of; raises NotAPressError."""
    try:
        form = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise NotAPressError("the body must be a form, as application/x-www-form-urlencoded has it") from None
    texts = form.get("payload", [])
    if len(texts) != 1:
        raise NotAPressError("the form must have one field payload")
    try:
        payload = orjson.loads(texts[0])
    except ValueError:
        raise NotAPressError("payload must be JSON") from None
    match payload:
        case {
            "type": "block_actions",
            "team": {"id": str(team_id)},
            "user": {"id": str(user_id)},
            "actions": [{"action_id": str(action_id), "value": str(alert_id)}],
        }:
            pass
        case _:
            raise NotAPressError("payload must be block_actions with team, user and one action with a value")
    if action_id not in _STEPS or not 0 < len(alert_id) <= _LONGEST_ID or not is_user_id(user_id):
        raise NotAPressError("payload must be about a button of this service, pressed by a user of Slack")
    response_url = payload.get("response_url")
    return Press(
        team_id=team_id,
        user_id=user_id,
        alert_id=alert_id,
        step=AlertStep(action_id),
        response_url=response_url if isinstance(response_url, str) else None,
    )
