"""Admission: what cannot be run at all is refused, and a request made again gets its run's answer."""

from typing import Final

from service.domain.errors import (
    DatabaseNotDurableError,
    InterruptedRunError,
    RoutingNotConfiguredError,
    SlackNotConfiguredError,
)
from service.domain.run import RunError, RunRequest
from service.runs.context import App, Reading
from service.store.patience import retry_while_unavailable

_POLL_S: Final = 0.5


def check_request(app: Reading, request: RunRequest) -> None:
    """Refuse what cannot be run at all, before anything is read or recorded.

    Its source was checked by the door. Raises RoutingNotConfiguredError, and for real runs
    SlackNotConfiguredError and DatabaseNotDurableError.
    """
    if app.kinds[request.kind].needs_regions and not app.channels.by_region:
        raise RoutingNotConfiguredError("the map from region to channel is empty: set REGION_CHANNELS")
    if request.dry_run:
        return
    if not app.channels.is_configured:
        raise SlackNotConfiguredError(
            "set SLACK_WEBHOOKS, SLACK_BOT_TOKEN, SLACK_WEBHOOK_URL or (the mock's way) "
            "SLACK_WEBHOOK_BASE_URL to send"
        )
    if not app.policy.database_is_durable:
        raise DatabaseNotDurableError(
            "the SQLite database dies with this container, and the next run would send everything again: "
            "set DATABASE_URL to PostgreSQL, or ALLOW_EPHEMERAL_DATABASE=true"
        )


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
