"""`run`: progress bars while it works, then tables or JSON."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from service.api.schemas.evaluation import ChangesOut
from service.api.schemas.run import RunOut
from service.cli.bars import shown
from service.cli.command import async_command, operator, print_answer, print_ledger_place, report
from service.cli.exit_codes import NOT_ALL_SENT, OK
from service.cli.lifecycle.changes import print_changes
from service.cli.previewing import checked_request
from service.domain.errors import DatabaseUnusableError, InterruptedRunError, RiskAlertsError
from service.domain.progress import Progress
from service.domain.run import RunRecord, RunRequest, RunStatus
from service.runs.execute import execute_run, new_run_id
from service.runs.waiting.keep_sending import send_waiting
from service.settings import Settings
from service.telemetry.structured import structlog
from service.wiring import App, open_app

LISTED: Final = 10
"""Accounts of each kind; `runs changes` lists more."""


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
        code = await _send_summary(app, record) or _exit_code(record)
        changes = ChangesOut.first(await app.store.changes.of_run(record.run_id), LISTED)
    print_answer(RunOut.of(record), as_json=as_json)
    if not as_json:
        print_changes(changes)
        print_ledger_place(settings)
    return code


async def _run(app: App, request: RunRequest) -> RunRecord:
    run_id = new_run_id(app.clock.now())
    progress = Progress()
    with structlog.contextvars.bound_contextvars(run_id=run_id), _stopped_by_signals(app):
        async with shown(progress):
            return await app.at_work.spawn(execute_run(app, request, run_id=run_id, progress=progress))


async def _send_summary(app: App, record: RunRecord) -> int:
    """Send what the run let wait for its channels, unless a `serve` is at it; return the exit code."""
    is_summarized = app.policy.summarizes and app.kinds[record.kind].summary is not None
    if record.dry_run or not is_summarized:
        return OK
    waiting = app.store.waiting
    # Where there is no `serve`, nobody else would look after a run that died while it sent.
    if not (await waiting.tenants() or await waiting.with_dead_runs()):
        return OK
    try:
        with _stopped_by_signals(app):
            return _exit_code(await app.at_work.spawn(send_waiting(app)))
    except RiskAlertsError as error:
        report(f"the summary of run {record.run_id} waits to be sent: {error.detail}")
        return NOT_ALL_SENT


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
            f"the run, or the next run of the period sends them; `risk-alerts cancel {run_id}` ends it"
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
