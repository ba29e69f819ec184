"""`logs plan`: what an evaluation of a log would read."""

import os
import sys
import threading
from pathlib import Path

from service.cli.command import async_command, parsed_source, print_answer
from service.kinds import storage_access
from service.log_rules.findings import SETTLE_ROWS
from service.log_rules.reading.plan import plan_log
from service.log_rules.rules_file import load_rules
from service.runtime.daemon_thread import run_in_daemon_thread
from service.settings import Settings
from service.sources.opening import check_allowed, open_source
from service.telemetry.terminal import harmless_json


@async_command
async def print_log_plan(settings: Settings, *, source: str, rules: Path, as_json: bool) -> None:
    """Print the plan; the database is not needed."""
    file = load_rules(rules)
    uri, access = parsed_source(source), storage_access(settings)
    await check_allowed(uri, access)
    threads, stop = settings.scan_threads or os.cpu_count() or 1, threading.Event()
    try:
        with open_source(uri, access) as files:
            plan = await run_in_daemon_thread(
                lambda: plan_log(
                    files,
                    file,
                    threads=threads,
                    settle_rows=SETTLE_ROWS,
                    checkpoint_limit_mb=settings.checkpoint_limit_mb,
                    stop=stop,
                )
            )
    finally:
        stop.set()
    print_answer(plan.summary(), lambda: sys.stdout.write(harmless_json(f"{plan}\n")), as_json=as_json)
