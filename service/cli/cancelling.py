"""`cancel`: nothing more of a run is sent."""

from service.api.schemas.run import RunOut
from service.cli.command import with_app
from service.runs.interventions import cancel_run as cancel
from service.wiring import App


def cancel_run(run_id: str, *, as_json: bool) -> int:
    """Cancel a run, print it as it stands then, and return the exit code."""

    async def ask(app: App) -> RunOut:
        await cancel(app, run_id)
        return RunOut.of(await app.store.history.get_run(run_id))

    return with_app(ask, as_json=as_json)
