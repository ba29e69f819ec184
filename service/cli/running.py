"""`run`: progress bars while it works, then tables or JSON."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from operator import attrgetter, itemgetter
from typing import Final

from service.api.schemas.evaluation import ChangesOut, RegionTotalOut
from service.api.schemas.run import RunOut
from service.cli.bars import shown
from service.cli.command import async_command, operator, print_answer, print_ledger_place, report
from service.cli.exit_codes import NOT_ALL_SENT, OK
from service.cli.layout import Columns, console, print_table
from service.cli.previewing import checked_request
from service.domain.errors import DatabaseUnusableError, InterruptedRunError
from service.domain.lifecycle.run_changes import ChangeKind
from service.domain.progress import Progress
from service.domain.run import RunRecord, RunRequest, RunStatus
from service.runs.execute import execute_run, new_run_id
from service.settings import Settings
from service.telemetry.structured import structlog
from service.wiring import App, open_app

LISTED: Final = 10
"""Accounts of each kind; all are at `/runs/{run_id}/changes`."""


@async_command
async def run_month(
    settings: Settings, *, source: str, month: str, dry_run: bool, plan_digest: str | None, as_json: bool
) -> int:
    """Run a month and return the exit code."""
    request = replace(
        await checked_request(settings, source, month), dry_run=dry_run, plan_digest=plan_digest
    )
    return await execute_and_print(settings, request, as_json=as_json)


async def execute_and_print(settings: Settings, request: RunRequest, *, as_json: bool) -> int:
    """Execute a run, print what became of it, and return the exit code."""
    async with open_app(settings, operator=operator()) as app:
        try:
            record = await _run(app, request)
        except InterruptedRunError as stopped:
            await _say_what_is_left(app, stopped)
            raise
        changes = ChangesOut.first(await app.store.changes.of_run(record.run_id), LISTED)
    print_answer(RunOut.of(record), as_json=as_json)
    if not as_json:
        print_changes(changes)
        print_ledger_place(settings)
    return _exit_code(record)


async def _run(app: App, request: RunRequest) -> RunRecord:
    run_id = new_run_id(app.clock.now())
    progress = Progress()
    with structlog.contextvars.bound_contextvars(run_id=run_id), _stopped_by_signals(app):
        async with shown(progress):
            return await app.at_work.spawn(execute_run(app, request, run_id=run_id, progress=progress))


async def _say_what_is_left(app: App, stopped: InterruptedRunError) -> None:
    """Add to the error what becomes of the alerts that the run has not sent, where that can be known."""
    run_id = stopped.run_id
    if run_id is None:
        return
    with suppress(DatabaseUnusableError):
        run = await app.store.history.get_run(run_id)
        if run.status is not RunStatus.RELEASED:
            stopped.detail += ": nothing of it had been recorded to be sent; run it again"
            return
        counts = run.counts
        done = counts.alerts_sent + counts.skipped_replay + counts.failed_deliveries + counts.unknown
        stopped.detail += (
            f": {counts.alerts - done:,} alerts have not been sent. A running `risk-alerts serve` resumes "
            f"the run, or the next run of the month sends them; `risk-alerts cancel {run_id}` ends it"
        )


@contextmanager
def _stopped_by_signals(app: App) -> Iterator[None]:
    """Stop the run at the first SIGINT or SIGTERM, its undelivered alerts kept; a second one kills."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        for one in signals:
            loop.remove_signal_handler(one)
        report("stopping: requests in flight are answered first; a second Ctrl-C does not wait for them")
        app.at_work.stop()

    for one in signals:
        loop.add_signal_handler(one, stop)
    try:
        yield
    finally:
        for one in signals:
            loop.remove_signal_handler(one)


def _exit_code(record: RunRecord) -> int:
    counts = record.counts
    missing = counts.failed_deliveries + counts.unknown + counts.unsent
    return NOT_ALL_SENT if missing and not record.dry_run else OK


def print_changes(changes: ChangesOut) -> None:
    """Print how many accounts of each region changed how, with their ARR, and name the first of them."""
    if not changes.totals:
        return
    out = console()
    regions: dict[str, list[RegionTotalOut]] = {}
    for one in changes.totals:
        regions.setdefault("null" if one.region is None else one.region, []).append(one)
    kinds = [kind for kind in ChangeKind if any(one.change is kind for one in changes.totals)]
    columns = {"Region": itemgetter(0)} | {kind.capitalize(): partial(_cell, kind) for kind in kinds}
    print_table(out, "What changed", columns, [*regions.items(), ("All", changes.totals)])
    # Who goes on stands in the run's own list.
    named = [one for one in changes.changes if one.change is not ChangeKind.CONTINUING]
    if named:
        print_table(out, "For whom", _NAMED, named)


def _cell(kind: ChangeKind, row: tuple[str, Sequence[RegionTotalOut]]) -> str:
    found = [one for one in row[1] if one.change is kind]
    accounts, arr = sum(one.accounts for one in found), sum(one.arr for one in found)
    return f"{accounts:,} (ARR {arr:,})" if accounts else ""


_NAMED: Final[Columns] = {
    "Change": attrgetter("change"),
    "Account": attrgetter("account_id"),
    "Name": attrgetter("account_name"),
    "Region": lambda one: "null" if one.account_region is None else one.account_region,
    "ARR": lambda one: "unknown" if one.arr is None else f"{one.arr:,}",
    "Alert": attrgetter("alert_id"),
}
