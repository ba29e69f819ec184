"""`plan`: what an evaluation would read."""

import sys

from service.account_risk.evaluate import plan
from service.cli.command import async_command, parsed_source, print_json
from service.cli.exit_codes import OK
from service.domain.month import Month
from service.kinds import configured
from service.runtime.clock import SystemClock
from service.settings import Settings


@async_command
async def print_plan(settings: Settings, *, source: str, month: str, as_json: bool) -> int:
    """Print the plan and return the exit code; the database is not needed."""
    today = SystemClock().now().date()
    asked = configured(settings, parsed_source(source), Month.resolve(month, today=today))
    with asked.reopen() as files:
        planned = await plan(files, asked.criteria, options=asked.options)
    if as_json:
        print_json(planned.summary())
    else:
        sys.stdout.write(f"{planned}\n")
    return OK
