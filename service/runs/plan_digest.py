"""The plan's digest: plans with the same digest send the same alerts in the same words. Pure."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from service.delivery.channels import Channels
from service.domain.alert_type import AlertType
from service.domain.evaluation import AnyEvaluation

_FORM: Final = 2
"""Counted up when the same plan would get another digest, so that an old one is never met by accident."""
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def plan_digest(evaluation: AnyEvaluation, channels: Channels, alert_type: AlertType) -> str:
    """Return 64 hex digits over the source's versions, the rules, the routing, and every alert in its order.

    Neither time nor what has become of the alerts is part of it, nor the webhooks' addresses, which are
    secret. SHA-256 over lines of canonical JSON (keys sorted, no spaces, ASCII): the plan, then each alert.
    Takes its time with many alerts: not for the event loop.
    """
    digest = hashlib.sha256()
    for line in _lines(evaluation, channels, alert_type):
        digest.update(_CANONICAL.encode(line).encode("ascii") + b"\n")
    return digest.hexdigest()


def _lines(evaluation: AnyEvaluation, channels: Channels, alert_type: AlertType) -> Iterator[Any]:
    yield {
        **evaluation.criteria,
        **alert_type.wording,
        "form": _FORM,
        "source": sorted(evaluation.source_versions),
        "channels": dict(channels.by_region),
        "messages_name_their_channel": channels.is_single_lane,
    }
    for alert in evaluation.alerts:
        facts = dict(alert.facts)
        yield [alert_type.channel(alert, channels), alert.subject, alert.period, alert.route, facts]
