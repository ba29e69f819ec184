"""`routes check`: whether each channel's webhook is alive, before a month depends on it."""

from dataclasses import asdict

from service.cli.command import async_command, print_json
from service.cli.exit_codes import NOT_ALL_SENT, OK
from service.delivery.route_check import all_live, check_routes
from service.domain.errors import RoutingNotConfiguredError, SlackNotConfiguredError
from service.runtime.clock import SystemClock
from service.settings import Settings
from service.wiring import channels_of, slack_of


@async_command
async def print_route_check(settings: Settings, *, as_json: bool) -> int:
    """Print which channels' webhooks are alive and return the exit code; the database is not needed."""
    channels = channels_of(settings)
    if not channels.names:
        raise RoutingNotConfiguredError("the map from region to channel is empty: set REGION_CHANNELS")
    if channels.destination is None:
        raise SlackNotConfiguredError("set SLACK_WEBHOOKS, SLACK_WEBHOOK_URL or SLACK_WEBHOOK_BASE_URL")
    async with slack_of(settings, SystemClock()) as sender:
        routes = await check_routes(channels, sender, timeout_s=settings.slack_timeout_s)
    if as_json:
        answer = {"destination": channels.destination, "routes": [asdict(route) for route in routes]}
        print_json(answer)
    else:
        from service.cli.tables import print_routes  # noqa: PLC0415  # not needed with --json

        print_routes(channels.destination, routes)
    return OK if all_live(routes) else NOT_ALL_SENT
