"""`runs`, `runs show` and `cancel`."""

from service.api.schemas.run import RunOut, RunsOut
from service.cli.command import print_json, with_flow
from service.cli.exit_codes import OK
from service.domain.month import Month
from service.domain.run import RunRecord, RunStatus
from service.runs.cancel import cancel_run as cancel
from service.runtime.clock import SystemClock
from service.settings import Settings
from service.wiring import open_app


def list_runs(
    *, limit: int, cursor: str | None, month: str | None, status: RunStatus | None, as_json: bool
) -> int:
    """Print a page of runs and return the exit code."""

    async def flow(settings: Settings) -> int:
        today = SystemClock().now().date()
        of_month = None if month is None else str(Month.resolve(month, today=today))
        async with open_app(settings) as app:
            page = await app.store.history.list_runs(
                limit=limit,
                cursor=cursor,
                period=of_month,
                status=status,
            )
        answer = RunsOut.of(page)
        if as_json:
            print_json(answer)
        else:
            from service.cli.tables import print_runs  # noqa: PLC0415  # not needed with --json

            print_runs(answer)
        return OK

    return with_flow(flow, as_json=as_json)


def show_run(run_id: str, *, as_json: bool) -> int:
    """Print a run and return the exit code."""

    async def flow(settings: Settings) -> int:
        async with open_app(settings) as app:
            _print(await app.store.history.get_run(run_id), as_json=as_json)
        return OK

    return with_flow(flow, as_json=as_json)


def cancel_run(run_id: str, *, as_json: bool) -> int:
    """Cancel a run, print it as it stands then, and return the exit code."""

    async def flow(settings: Settings) -> int:
        async with open_app(settings) as app:
            await cancel(app, run_id)
            _print(await app.store.history.get_run(run_id), as_json=as_json)
        return OK

    return with_flow(flow, as_json=as_json)


def _print(record: RunRecord, *, as_json: bool) -> None:
    answer = RunOut.of(record)
    if as_json:
        print_json(answer)
    else:
        from service.cli.tables import print_run  # noqa: PLC0415  # not needed with --json

        print_run(answer)
