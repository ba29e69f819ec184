"""Routing: every alert of an evaluation gets its channel and its message. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import orjson

from service.delivery.channels import Channels
from service.delivery.slack.message import render
from service.domain.alert import Alert, RecordedAlert
from service.domain.alert_type import AlertType
from service.domain.evaluation import RunWarning
from service.domain.lifecycle.message_state import MessageState
from service.domain.replay import RoutedAlert


def route(
    alerts: Iterable[Alert],
    channels: Channels,
    alert_type: AlertType,
    states: Mapping[str, MessageState] = MappingProxyType({}),
    *,
    in_digest: Collection[str] = (),
) -> Iterator[RoutedAlert]:
    """Yield each alert with its channel (None where its route has none) and the message for it.

    `states` are those of the alerts that people work on already, by subject: the message says so.
    `in_digest` has the ids of those that another one stands for.
    """
    for alert in alerts:
        channel = alert_type.channel(alert, channels)
        named_channel = channel if channels.is_single_lane else None
        message = alert_type.message(alert)
        payload = render(
            alert,
            message,
            named_channel=named_channel,
            has_buttons=channels.has_buttons,
            state=states.get(alert.subject),
        )
        yield RoutedAlert(
            alert=RecordedAlert.of(alert),
            channel=channel,
            payload=orjson.dumps(payload).decode(),
            problem=alert_type.problem(alert),
            in_digest=alert.alert_id in in_digest,
            why_unrouted=alert_type.why_unrouted(alert.route) if channel is None else None,
        )


def region_warnings(alerts: Sequence[Alert], channels: Channels) -> tuple[RunWarning, ...]:
    """Warn of regions that would have a channel if case and surrounding spaces did not count."""
    near = [alert for alert in alerts if channels.near_miss(alert.route)]
    if not near:
        return ()
    detail = f"{len(near)} alerts have a region that differs from a known one only in case or spaces"
    return (RunWarning(code="near_miss_region", count=len(near), detail=detail),)
