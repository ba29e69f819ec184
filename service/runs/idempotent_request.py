"""The repeated request: whoever asks again for a run waits for it, wherever it runs, and gets its answer."""

from typing import Final

from service.domain.errors import InterruptedRunError
from service.domain.run import RunError, RunRequest
from service.runs.context import App
from service.store.patience import retry_while_unavailable

_POLL_S: Final = 0.5


async def end_of_request(app: App, request: RunRequest, run_id: str) -> tuple[str, RunError | None]:
    """Wait for the run that a request's key names, and return its id, and why it failed or None.

    Where another run takes it over meanwhile, that one is waited for. Raises as `end_of_run` does.
    """
    while True:
        error = await end_of_run(app, run_id)
        taker = await retry_while_unavailable(app.clock, lambda: app.store.requests.run_of(request))
        if error is None or taker in {None, run_id}:
            return run_id, error
        run_id = taker


async def end_of_run(app: App, run_id: str) -> RunError | None:
    """Wait until a run has ended, and return why it failed; None where it succeeded.

    Raises InterruptedRunError when this service is stopped before, and DatabaseUnusableError.
    """
    try:
        # The record is looked at: the run may be another process's, or become that of one which takes over.
        while True:
            end = await retry_while_unavailable(app.clock, lambda: app.store.requests.end_of(run_id))
            if end is not None:
                return end.error
            await app.at_work.unless_stopped(app.clock.sleep(_POLL_S))
    except InterruptedRunError as stopped:
        stopped.run_id = run_id
        raise
