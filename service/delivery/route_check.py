"""The route check: whether each channel can be posted to, without posting anything that a person sees.

A live webhook answers a body that is no JSON with 400 `invalid_payload`; one that was revoked, or whose
channel is archived, answers 403, 404 or 410
(docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). A bot asks for the channels that it is a
member of.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from service.delivery.channels import Channels
from service.delivery.slack.answer import NO_ANSWER, WebApiError
from service.delivery.slack.send_result import (
    InDoubt,
    NotPosted,
    RateLimited,
    Rejected,
    Retry,
    SendResult,
    Sent,
)
from service.domain.delivery_status import Reason

if TYPE_CHECKING:
    from service.delivery.slack.bot import Bot, BotChannel
    from service.delivery.slack.sender import SlackSender  # loads aiohttp, and tables name what is here

NOT_JSON: Final = "{"
_DEAD: Final = frozenset({Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.GONE})


class RouteStatus(StrEnum):
    """What a webhook's answer says of it, or Slack of a bot's channel."""

    LIVE = "live"
    DEAD = "dead"
    """Slack knows the webhook no more, or refuses its channel: a message would be lost."""
    UNREACHABLE = "unreachable"
    """No connection, or no answer in time."""
    UNCLEAR = "unclear"
    """An answer that no webhook of Slack gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRoute:
    """One channel and what its webhook answered."""

    regions: tuple[str, ...]
    channel: str
    status: RouteStatus
    answer: str
    """For a person; never the webhook itself."""


async def check_routes(channels: Channels, sender: "SlackSender", *, timeout_s: float) -> list[CheckedRoute]:
    """Ask the webhook of every channel, each destination once; nothing is posted that a person sees.

    Raises LookupError when no webhook is configured.
    """
    lanes = tuple(dict.fromkeys(map(channels.lane_of, channels.checkable)))
    results = await asyncio.gather(
        *(sender.post(channels.url_of(lane), NOT_JSON, timeout_s=timeout_s) for lane in lanes)
    )
    answered = dict(zip(lanes, results, strict=True))
    return [
        _checked(channels, channel, answered[channels.lane_of(channel)]) for channel in channels.checkable
    ]


async def check_bot(channels: Channels, bot: "Bot") -> list[CheckedRoute]:
    """Ask Slack whose token it is, and which channels the bot may post to."""
    try:
        await bot.api.call("auth.test")
        known = await bot.channels()
    except WebApiError as refused:
        status = RouteStatus.UNREACHABLE if refused.word == NO_ANSWER else RouteStatus.DEAD
        found = dict.fromkeys(channels.names, (status, f"Slack said {refused}"))
    else:
        found = {name: _of_bot(known.get(name)) for name in channels.names}
    return [
        CheckedRoute(regions=_regions(channels, name), channel=name, status=status, answer=answer)
        for name, (status, answer) in found.items()
    ]


def _of_bot(channel: "BotChannel | None") -> tuple[RouteStatus, str]:
    if channel is None:
        return RouteStatus.DEAD, "channel_not_found: none that the bot sees has this name or id"
    if channel.is_archived:
        return RouteStatus.DEAD, "is_archived"
    if not channel.is_member:
        return RouteStatus.DEAD, "not_in_channel: invite the bot"
    return RouteStatus.LIVE, f"the bot is a member of {channel.channel_id}"


def all_live(routes: Sequence[CheckedRoute]) -> bool:
    """Return whether every route is live."""
    return all(route.status is RouteStatus.LIVE for route in routes)


def _checked(channels: Channels, channel: str, result: SendResult) -> CheckedRoute:
    status, answer = classify(result)
    return CheckedRoute(regions=_regions(channels, channel), channel=channel, status=status, answer=answer)


def _regions(channels: Channels, channel: str) -> tuple[str, ...]:
    return tuple(region for region, leads_to in channels.by_region.items() if leads_to == channel)


def classify(  # noqa: PLR0911  # one match over a closed family reads best whole
    result: SendResult,
) -> tuple[RouteStatus, str]:
    """Say what the answer to a body that is no JSON means, and repeat it for a person."""
    match result:
        case Rejected(reason=reason, message=message) if reason in _DEAD:
            return RouteStatus.DEAD, message
        case Rejected(reason=Reason.BAD_REQUEST, message=message) if message.endswith("invalid_payload"):
            return RouteStatus.LIVE, message
        case RateLimited():
            return RouteStatus.LIVE, "HTTP 429: it exists, and asks to wait"
        case Retry(reason=Reason.SLACK_UNREACHABLE, message=message) | InDoubt(message=message):
            return RouteStatus.UNREACHABLE, message
        case Rejected(message=message) | Retry(message=message):
            return RouteStatus.UNCLEAR, message
        case Sent():
            return RouteStatus.UNCLEAR, "it took a body that is no JSON: Slack does not"
        case NotPosted():
            return RouteStatus.UNREACHABLE, "nothing was posted"
