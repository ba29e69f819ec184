"""The history: what stands in a channel, as the bot that posted it can read it back."""

from dataclasses import dataclass
from typing import Final

from service.delivery.slack.answer import rows_of
from service.delivery.slack.marker import Marker, Markers
from service.delivery.slack.web_api import WebApi

PAGE: Final = "200"
"""Messages of one call; an app that Slack restricts gets 15."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message stands."""

    channel_id: str
    ts: str


async def read_history(
    api: WebApi, markers: Markers, *, bot_id: str, channel_id: str, oldest: float, patient_until: float
) -> dict[Marker, Place]:
    """Return a bot's own messages of a channel, by their markers, read to the end.

    `oldest` is seconds since 1970. Where Slack asks to call less often that is waited for, unless it takes
    longer than `patient_until`, in monotonic seconds. Raises WebApiError where not all of it was read.
    """
    found: dict[Marker, Place] = {}
    pages = api.pages(
        "conversations.history",
        patient_until=patient_until,
        channel=channel_id,
        oldest=f"{max(0.0, oldest):.6f}",
        limit=PAGE,
        include_all_metadata="true",
    )
    async for page in pages:
        for message in rows_of(page, "messages"):
            match message:
                case {"bot_id": str(author), "ts": str(ts), "metadata": metadata} if author == bot_id:
                    if (marker := markers.read(metadata)) is not None:
                        found[marker] = Place(channel_id=channel_id, ts=ts)
    return found
