"""`runs`, and `runs show`, `alerts` and `changes`: what the ledger says of runs and of their alerts."""

import os
import sys

from service.api.csv_lines import csv_header, csv_rows
from service.api.schemas.alert import AlertsOut, RunAlertOut
from service.api.schemas.evaluation import ChangesOut
from service.api.schemas.run import RunOut, RunsOut
from service.cli.command import async_command, open_ledger, with_ledger
from service.domain.delivery_status import Outcome
from service.domain.month import Month
from service.domain.run import RunStatus
from service.runtime.clock import SystemClock
from service.settings import Settings
from service.store.store import Store

_PAGE = 500


def list_runs(
    *,
    limit: int,
    cursor: str | None,
    month: str | None,
    status: RunStatus | None,
    kind: str | None,
    as_json: bool,
) -> int:
    """Print a page of runs and return the exit code."""

    async def ask(store: Store) -> RunsOut:
        today = SystemClock().now().date()
        period = None if month is None else str(Month.resolve(month, today=today))
        page = await store.history.list_runs(
            limit=limit, cursor=cursor, period=period, status=status, kind=kind
        )
        return RunsOut.of(page)

    return with_ledger(ask, as_json=as_json)


def show_run(run_id: str, *, as_json: bool) -> int:
    """Print a run and return the exit code."""

    async def ask(store: Store) -> RunOut:
        return RunOut.of(await store.history.get_run(run_id))

    return with_ledger(ask, as_json=as_json)


def show_changes(run_id: str, *, limit: int, as_json: bool) -> int:
    """Print what a run changed, the first `limit` alerts of each kind, and return the exit code."""

    async def ask(store: Store) -> ChangesOut:
        return ChangesOut.first(await store.changes.of_run(run_id), limit)

    return with_ledger(ask, as_json=as_json)


def list_alerts(
    run_id: str, *, outcome: Outcome | None, limit: int, cursor: str | None, as_json: bool
) -> int:
    """Print a page of a run's alerts and return the exit code."""

    async def ask(store: Store) -> AlertsOut:
        page = await store.history.list_alerts(run_id, outcome=outcome, limit=limit, cursor=cursor)
        return AlertsOut.of(page)

    return with_ledger(ask, as_json=as_json)


@async_command
async def write_alerts(settings: Settings, run_id: str, *, outcome: Outcome | None) -> None:
    """Write all alerts of a run to stdout, as CSV."""
    async with open_ledger(settings) as store:
        cursor = None
        while True:
            page = await store.history.list_alerts(run_id, outcome=outcome, limit=_PAGE, cursor=cursor)
            lines = "" if cursor else csv_header()
            if not _written(lines + csv_rows(map(RunAlertOut.of, page.items))):
                return
            if (cursor := page.next_cursor) is None:
                return


def _written(text: str) -> bool:
    """Write to stdout as it is; False where nobody reads any more, such as `head`."""
    try:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whatever is still to be flushed at the end of the process goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
