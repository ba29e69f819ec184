"""`runs`, `runs show` and `cancel`."""

from service.api.schemas.run import RunOut, RunsOut
from service.cli.command import with_app
from service.domain.month import Month
from service.domain.run import RunStatus
from service.runs.cancel import cancel_run as cancel
from service.runtime.clock import SystemClock
from service.wiring import App


def list_runs(
    *, limit: int, cursor: str | None, month: str | None, status: RunStatus | None, as_json: bool
) -> int:
    """Print a page of runs and return the exit code."""

    async def ask(app: App) -> RunsOut:
        today = SystemClock().now().date()
        period = None if month is None else str(Month.resolve(month, today=today))
        page = await app.store.history.list_runs(limit=limit, cursor=cursor, period=period, status=status)
        return RunsOut.of(page)

    return with_app(ask, as_json=as_json)


def show_run(run_id: str, *, as_json: bool) -> int:
    """Print a run and return the exit code."""

    async def ask(app: App) -> RunOut:
        return RunOut.of(await app.store.history.get_run(run_id))

    return with_app(ask, as_json=as_json)


def cancel_run(run_id: str, *, as_json: bool) -> int:
    """Cancel a run, print it as it stands then, and return the exit code."""

    async def ask(app: App) -> RunOut:
        await cancel(app, run_id)
        return RunOut.of(await app.store.history.get_run(run_id))

    return with_app(ask, as_json=as_json)
