"""Events: a run's progress as it happens, and its record when it has finished."""

from collections.abc import AsyncIterator
from functools import partial

from fastapi.sse import ServerSentEvent

from service.api.context import Context
from service.api.routes.following import followed
from service.api.routes.run_bodies import progress_of
from service.api.schemas.run import RunOut
from service.domain.run import RunRecord
from service.store.history import History


def run_events(context: Context, history: History, record: RunRecord) -> AsyncIterator[ServerSentEvent]:
    """Return the events of a run, the last of which is `run`; see `followed`."""
    return followed(
        context.app,
        record,
        record.run_id,
        progress_of=partial(progress_of, context),
        look=history.get_run,
        end=_ended,
    )


def _ended(run: RunRecord) -> ServerSentEvent:
    return ServerSentEvent(event="run", data=RunOut.of(run).model_dump(mode="json", by_alias=True))
