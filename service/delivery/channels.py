"""Channels: which channel hears of which region, and which lane leads there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import quote

SINGLE_LANE: Final = "webhook"
"""Name of the one lane there is when a single webhook serves all channels."""


class Destination(StrEnum):
    """How channels are reached; where several are configured, the first of these is in use."""

    BASE_URL = "SLACK_WEBHOOK_BASE_URL"
    """`{base}/{channel}`: the mock's way; Slack itself has no such address."""
    PER_CHANNEL = "SLACK_WEBHOOKS"
    BOT = "SLACK_BOT_TOKEN"
    """Slack's Web API, which takes messages for any channel that the bot is in."""
    SINGLE = "SLACK_WEBHOOK_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Where alerts go. There is no default channel: what matches no region, and names none, goes nowhere."""

    by_region: Mapping[str, str]
    webhook_base_url: str | None = None
    """Without a trailing slash; a secret: it never leaves this process but as a request."""
    webhooks: Mapping[str, str] = field(default_factory=dict)
    """The webhook of each channel, used when there is no base URL: secrets too."""
    bot_token: str | None = None
    """Of the bot that posts when there is neither; a secret too."""
    api_url: str = ""
    """Where the bot's messages are posted to."""
    signing_secret: str | None = None
    """By which the bot's requests from Slack are known; a secret too."""
    webhook_url: str | None = None
    """Used when there is no other; a secret too."""

    def __repr__(self) -> str:
        return f"Channels(by_region={dict(self.by_region)!r})"

    def of(self, region: str | None) -> str | None:
        """Return the channel of a region, matched exactly; None for null, blank and unmapped ones."""
        return None if region is None or not region.strip() else self.by_region.get(region)

    def named(self, channel: str) -> str | None:
        """Return a channel that is named itself, whatever the regions; None where no webhook leads there."""
        is_per_channel = self.destination is Destination.PER_CHANNEL
        return None if is_per_channel and channel not in self.webhooks else channel

    @property
    def names(self) -> tuple[str, ...]:
        """Every channel once, in the order of the map."""
        return tuple(dict.fromkeys(self.by_region.values()))

    @property
    def checkable(self) -> tuple[str, ...]:
        """Those of the map, and all others with a webhook of their own: a rule over logs may name them."""
        others = self.webhooks if self.destination is Destination.PER_CHANNEL else ()
        return tuple(dict.fromkeys((*self.names, *others)))

    @property
    def destination(self) -> Destination | None:
        """How channels are reached; None where nothing is configured."""
        if self.webhook_base_url is not None:
            return Destination.BASE_URL
        if self.webhooks:
            return Destination.PER_CHANNEL
        if self.bot_token is not None:
            return Destination.BOT
        return None if self.webhook_url is None else Destination.SINGLE

    @property
    def is_single_lane(self) -> bool:
        """Whether one webhook serves all channels, so that a message must name its own."""
        return self.destination is Destination.SINGLE

    @property
    def has_buttons(self) -> bool:
        """Whether messages carry buttons: a bot's do, where somebody hears that they are pressed."""
        return self.signing_secret is not None and self.destination is Destination.BOT

    @property
    def is_configured(self) -> bool:
        """Whether there is anything to post to."""
        return self.destination is not None

    def lane_of(self, channel: str) -> str:
        """Return the name of the lane that leads to a channel; a lane is one destination."""
        return SINGLE_LANE if self.is_single_lane else channel

    def secret_of(self, lane: str) -> str:
        """Return what names a lane's destination to every process alike; raises as `url_of` does."""
        return f"{self.bot_token} {lane}" if self.destination is Destination.BOT else self.url_of(lane)

    def url_of(self, lane: str) -> str:
        """Return the URL that a lane posts to, a secret unless it is the bot's.

        Raises LookupError when nothing is configured.
        """
        if self.webhook_base_url is not None:
            return f"{self.webhook_base_url}/{quote(lane, safe='')}"
        if self.webhooks:
            return self.webhooks[lane]
        if self.bot_token is not None:
            return f"{self.api_url}/chat.postMessage"
        if self.webhook_url is not None:
            return self.webhook_url
        raise LookupError("no webhook is configured")

    def near_miss(self, region: str | None) -> bool:
        """Return whether the region would match if case and surrounding spaces did not count."""
        if region is None or region in self.by_region:
            return False
        folded = region.strip().casefold()
        return any(folded == known.strip().casefold() for known in self.by_region)
