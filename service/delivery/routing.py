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

    `states` are those of the alerts that people work on already, or that are over, by id of the occurrence.
    `in_digest` has the ids of those that another one stands for.
    """
    for alert in alerts:
        channel = alert_type.channel(alert, channels)
        yield RoutedAlert(
            alert=RecordedAlert.of(alert),
            channel=channel,
            payload=payload_of(alert, channel, channels, alert_type, states.get(alert.alert_id)),
            problem=alert_type.problem(alert),
            in_digest=alert.alert_id in in_digest,
            why_unrouted=alert_type.why_unrouted(alert) if channel is None else None,
        )


def payload_of(
    alert: Alert, channel: str | None, channels: Channels, alert_type: AlertType, state: MessageState | None
) -> str:
    """Return the body of the POST about an alert, which says what has become of it already."""
    payload = render(
        alert,
        alert_type.message(alert),
        named_channel=channel if channels.is_single_lane else None,
        has_buttons=channels.has_buttons,
        state=state,
    )
    return orjson.dumps(payload).decode()


def region_warnings(alerts: Sequence[Alert], channels: Channels) -> tuple[RunWarning, ...]:
    """Warn of routes that would have a channel if case and surrounding spaces did not count."""
    near = [alert for alert in alerts if channels.near_miss(alert.route)]
    if not near:
        return ()
    detail = f"{len(near)} alerts would have a channel if REGION_CHANNELS were matched without case or spaces"
    return (RunWarning(code="near_miss_region", count=len(near), detail=detail),)
