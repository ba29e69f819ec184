"""Routing: every alert of an evaluation gets its channel and its message. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import orjson

from service.delivery.channels import Channels
from service.delivery.slack.message import render
from service.domain.alert import Alert, RecordedAlert
from service.domain.alert_type import AlertType, Line
from service.domain.evaluation import RunWarning
from service.domain.replay import RoutedAlert


def route(
    alerts: Iterable[Alert],
    channels: Channels,
    alert_type: AlertType,
    notes: Mapping[str, Line] = MappingProxyType({}),
    *,
    in_digest: Collection[str] = (),
) -> Iterator[RoutedAlert]:
    """Yield each alert with its channel (None where its route has none) and the message for it.

    `notes` are lines that stand below those of the type, by subject: what people have to do with it.
    `in_digest` has the ids of those that another one stands for.
    """
    for alert in alerts:
        channel = alert_type.channel(alert, channels)
        named_channel = channel if channels.is_single_lane else None
        message = alert_type.message(alert)
        if (note := notes.get(alert.subject)) is not None:
            message = replace(message, lines=(*message.lines, note))
        payload = render(alert, message, named_channel=named_channel, has_buttons=channels.has_buttons)
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
