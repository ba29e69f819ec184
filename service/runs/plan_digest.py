"""The plan's digest: plans with the same digest alert the same accounts in the same words. Pure."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from service.delivery.channels import Channels
from service.domain.alert import Alert
from service.domain.evaluation import Evaluation

_FORM: Final = 1
"""Counted up when the same plan would get another digest, so that an old one is never met by accident."""


def plan_digest(evaluation: Evaluation, channels: Channels, *, details_base_url: str) -> str:
    """Return 64 hex digits over the source's versions, the rules, the routing, and every alert in its order.

    Neither time nor what has become of the alerts is part of it, nor the webhooks' addresses, which are
    secret. SHA-256 over lines of canonical JSON (keys sorted, no spaces, ASCII): the plan, then each alert.
    Takes its time with many alerts: not for the event loop.
    """
    digest = hashlib.sha256()
    for line in _lines(evaluation, channels, details_base_url):
        text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        digest.update(text.encode("ascii") + b"\n")
    return digest.hexdigest()


def _lines(evaluation: Evaluation, channels: Channels, details_base_url: str) -> Iterator[Any]:
    criteria = evaluation.criteria
    yield {
        "form": _FORM,
        "source": sorted(evaluation.source_versions),
        "month": str(criteria.month),
        "arr_threshold": criteria.arr_threshold,
        "alert_on_unknown_arr": criteria.alert_on_unknown_arr,
        "history_months": criteria.history_months,
        "channels": dict(channels.by_region),
        "messages_name_their_channel": channels.is_single_lane,
        "details_base_url": details_base_url,
    }
    for alert in evaluation.alerts:
        yield [channels.of(alert.account_region), *_facts(alert)]


def _facts(alert: Alert) -> Iterator[Any]:
    yield alert.account_id
    yield alert.account_name
    yield alert.account_region
    yield alert.duration_months
    yield alert.duration_is_minimum
    yield str(alert.risk_start_month)
    yield alert.arr
    yield alert.renewal_date and alert.renewal_date.isoformat()
    yield alert.account_owner
