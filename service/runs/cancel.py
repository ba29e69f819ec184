"""Cancelling: nothing more of a run is claimed, wherever it runs."""

from service.runs.context import App


async def cancel_run(app: App, run_id: str) -> None:
    """Cancel a run; raises RunNotFoundError, RunFinishedError and DatabaseUnusableError."""
    await app.store.runs.cancel(run_id, now=app.clock.now(), at_work=app.at_work.runs)
    app.at_work.halt(run_id)
