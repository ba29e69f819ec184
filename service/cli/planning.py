"""`plan`: what an evaluation would read."""

import sys

from service.account_risk.evaluate import plan
from service.cli.command import parsed_source, print_json, with_flow
from service.cli.exit_codes import OK
from service.domain.month import Month
from service.runtime.clock import SystemClock
from service.settings import Settings
from service.wiring import configured


def print_plan(*, source: str, month: str, as_json: bool) -> int:
    """Print the plan and return the exit code; the database is not needed."""

    async def flow(settings: Settings) -> int:
        today = SystemClock().now().date()
        asked = configured(settings, parsed_source(source), Month.resolve(month, today=today))
        with asked.reopen() as files:
            planned = await plan(files, asked.criteria, options=asked.options)
        if as_json:
            print_json(planned.summary())
        else:
            sys.stdout.write(f"{planned}\n")
        return OK

    return with_flow(flow, as_json=as_json)
