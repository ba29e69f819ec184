"""Events: a run's progress as it happens, and its record when it has finished."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi.sse import ServerSentEvent

from service.api.context import Context
from service.api.routes.run_bodies import progress_of
from service.api.schemas.run import ProgressOut, RunOut
from service.domain.run import RunRecord
from service.store.history import History

LIVE_INTERVAL_S: Final = 0.25
HEARTBEAT_INTERVAL_S: Final = 1.0
"""A run of another process is seen through its heartbeat in the database, which is no fresher than this."""


async def run_events(context: Context, history: History, record: RunRecord) -> AsyncIterator[ServerSentEvent]:
    """Yield a `progress` event for every change and, at the end, one `run` event with the final record.

    When the service is asked to stop, the stream ends without a `run` event: the client reconnects elsewhere.
    """
    app = context.app
    shown: ProgressOut | None = None
    while record.finished_at is None:
        progress = progress_of(context, record)
        if progress is not None and progress != shown:
            yield ServerSentEvent(event="progress", data=progress)
            shown = progress
        if app.at_work.stopping.is_set():
            return
        live = record.run_id in app.at_work.runs
        await app.clock.sleep(LIVE_INTERVAL_S if live else HEARTBEAT_INTERVAL_S)
        if not live or record.run_id not in app.at_work.runs:
            record = await history.get_run(record.run_id)
    yield ServerSentEvent(event="run", data=RunOut.of(record).model_dump(mode="json", by_alias=True))
