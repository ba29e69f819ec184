"""`plan`: what an evaluation would read."""

import sys

from service.account_risk.evaluate import plan
from service.cli.command import async_command, parsed_source, print_answer
from service.domain.month import Month
from service.kinds import configured
from service.runtime.clock import SystemClock
from service.settings import Settings


@async_command
async def print_plan(settings: Settings, *, source: str, month: str, as_json: bool) -> None:
    """Print the plan; the database is not needed."""
    today = SystemClock().now().date()
    asked = configured(settings, parsed_source(source), Month.resolve(month, today=today))
    with asked.reopen() as files:
        planned = await plan(files, asked.criteria, options=asked.options)
    print_answer(planned.summary(), lambda: sys.stdout.write(f"{planned}\n"), as_json=as_json)
