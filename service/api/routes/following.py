"""Events: progress as it happens, and the record when what is followed has ended."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol, TypeVar

from fastapi.sse import ServerSentEvent

from service.runs.context import App

LIVE_INTERVAL_S: Final = 0.25
HEARTBEAT_INTERVAL_S: Final = 1.0
"""What another process does is seen through its heartbeat in the database, which is no fresher than this."""


class Followed(Protocol):
    """What comes to an end."""

    @property
    def finished_at(self) -> datetime | None:
        """When it did."""


FollowedT = TypeVar("FollowedT", bound=Followed)


async def followed(
    app: App,
    record: FollowedT,
    key: str,
    *,
    progress_of: Callable[[FollowedT], object | None],
    look: Callable[[str], Awaitable[FollowedT]],
    end: Callable[[FollowedT], ServerSentEvent],
) -> AsyncIterator[ServerSentEvent]:
    """Yield a `progress` event for every change and, at the end, one event with the final record.

    `key` is its name among what is at work. When the service is asked to stop, the stream ends without the
    last event: the client reconnects elsewhere.
    """
    shown: object | None = None
    while record.finished_at is None:
        progress = progress_of(record)
        if progress is not None and progress != shown:
            yield ServerSentEvent(event="progress", data=progress)
            shown = progress
        if app.at_work.stopping.is_set():
            return
        live = key in app.at_work.runs
        await app.clock.sleep(LIVE_INTERVAL_S if live else HEARTBEAT_INTERVAL_S)
        if not live or key not in app.at_work.runs:
            record = await look(key)
    yield end(record)
