"""`logs run` and `logs preview`: a period of a stream of logs."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypedDict, Unpack

from service.cli.command import async_command, parsed_source
from service.cli.previewing import print_preview
from service.cli.running import execute_and_print
from service.domain.errors import BadPeriodError
from service.domain.run import RunRequest
from service.kinds import storage_access
from service.log_rules.alerts.kind import check_rules, log_request
from service.settings import Settings
from service.sources.opening import check_allowed
from service.wiring import channels_of


class _Asked(TypedDict):
    source: str
    rules: Path
    since: str
    until: str
    stream: str | None


@async_command
async def run_logs(
    settings: Settings, *, dry_run: bool, plan_digest: str | None, as_json: bool, **asked: Unpack[_Asked]
) -> int:
    """Run a period and return the exit code."""
    request = replace(await _checked(settings, **asked), dry_run=dry_run, plan_digest=plan_digest)
    return await execute_and_print(settings, request, as_json=as_json)


@async_command
async def preview_logs(settings: Settings, *, limit: int, as_json: bool, **asked: Unpack[_Asked]) -> int:
    """Preview a period and return the exit code."""
    request = await _checked(settings, **asked)
    return await print_preview(settings, request, limit=limit, as_json=as_json)


async def _checked(
    settings: Settings, source: str, rules: Path, since: str, until: str, stream: str | None
) -> RunRequest:
    request = log_request(
        parsed_source(source),
        rules.absolute(),  # noqa: ASYNC240  # asks for the working folder, and no disk
        since=_instant(since, "--from"),
        until=_instant(until, "--until"),
        stream=rules.stem if stream is None else stream,
    )
    await check_allowed(request.source, storage_access(settings))
    await check_rules(request, channels_of(settings))
    return request


def _instant(text: str, option: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BadPeriodError(
            f"{option} must be ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from None
