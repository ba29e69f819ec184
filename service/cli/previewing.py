"""`preview`: progress bars while it works, then tables or JSON; nothing is written."""

from service.account_risk.kind import month_request
from service.api.schemas.preview import PreviewOut
from service.cli.bars import shown
from service.cli.command import async_command, parsed_source, print_answer, warn_of_ledger
from service.cli.exit_codes import OK
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.kinds import storage_access
from service.runs.preview import preview
from service.runtime.clock import SystemClock
from service.settings import Settings
from service.sources.opening import check_allowed
from service.wiring import open_reading


@async_command
async def preview_month(settings: Settings, *, source: str, month: str, limit: int, as_json: bool) -> int:
    """Preview a month and return the exit code."""
    request = await checked_request(settings, source, month)
    return await print_preview(settings, request, limit=limit, as_json=as_json)


async def print_preview(settings: Settings, request: RunRequest, *, limit: int, as_json: bool) -> int:
    """Print what a run would send and return the exit code."""
    warn_of_ledger(settings)
    async with open_reading(settings) as reading:
        progress = Progress()
        async with shown(progress):
            answer = PreviewOut.of(await preview(reading, request, limit=limit, progress=progress))
    print_answer(answer, as_json=as_json)
    return OK


async def checked_request(settings: Settings, source: str, month: str) -> RunRequest:
    """Return what SOURCE and --month ask for.

    Raises BadSourceUriError, BadMonthError, SourceNotAllowedError and StorageUnreachableError.
    """
    today = SystemClock().now().date()
    request = month_request(parsed_source(source), Month.resolve(month, today=today))
    await check_allowed(request.source, storage_access(settings))
    return request
