"""`runs`, `runs show` and `runs changes`: what the ledger says of runs."""

from service.api.schemas.evaluation import ChangesOut
from service.api.schemas.run import RunOut, RunsOut
from service.cli.command import with_ledger
from service.domain.month import Month
from service.domain.run import RunStatus
from service.runtime.clock import SystemClock
from service.store.store import Store


def list_runs(
    *, limit: int, cursor: str | None, month: str | None, status: RunStatus | None, as_json: bool
) -> int:
    """Print a page of runs and return the exit code."""

    async def ask(store: Store) -> RunsOut:
        today = SystemClock().now().date()
        period = None if month is None else str(Month.resolve(month, today=today))
        page = await store.history.list_runs(limit=limit, cursor=cursor, period=period, status=status)
        return RunsOut.of(page)

    return with_ledger(ask, as_json=as_json)


def show_run(run_id: str, *, as_json: bool) -> int:
    """Print a run and return the exit code."""

    async def ask(store: Store) -> RunOut:
        return RunOut.of(await store.history.get_run(run_id))

    return with_ledger(ask, as_json=as_json)


def show_changes(run_id: str, *, limit: int, as_json: bool) -> int:
    """Print what a run changed, the first `limit` accounts of each kind, and return the exit code."""

    async def ask(store: Store) -> ChangesOut:
        return ChangesOut.first(await store.changes.of_run(run_id), limit)

    return with_ledger(ask, as_json=as_json)
