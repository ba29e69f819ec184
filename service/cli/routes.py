"""`routes check`: whether each channel can be posted to, before a month depends on it."""

from dataclasses import asdict

from service.cli.command import async_command, print_json
from service.cli.exit_codes import NOT_ALL_SENT, OK
from service.delivery.channels import Destination
from service.delivery.route_check import all_live, check_bot, check_routes
from service.domain.errors import RoutingNotConfiguredError, SlackNotConfiguredError
from service.runtime.clock import SystemClock
from service.settings import Settings
from service.telemetry.events import Events
from service.wiring import bot_of, channels_of, slack_of


@async_command
async def print_route_check(settings: Settings, *, as_json: bool) -> int:
    """Print which channels can be posted to and return the exit code; the database is not needed."""
    channels = channels_of(settings)
    if not channels.checkable:
        raise RoutingNotConfiguredError("the map from region to channel is empty: set REGION_CHANNELS")
    if channels.destination is None:
        raise SlackNotConfiguredError(
            "set SLACK_WEBHOOKS, SLACK_BOT_TOKEN, SLACK_WEBHOOK_URL or SLACK_WEBHOOK_BASE_URL"
        )
    if channels.destination is Destination.BOT:
        # What Slack says of the token stands in the answer, and not in the log as well.
        async with bot_of(settings, SystemClock(), Events(lambda _: None)) as bot:
            routes = await check_bot(channels, bot)
    else:
        async with slack_of(settings, SystemClock()) as sender:
            routes = await check_routes(channels, sender, timeout_s=settings.slack_timeout_s)
    if as_json:
        answer = {"destination": channels.destination, "routes": [asdict(route) for route in routes]}
        print_json(answer)
    else:
        from service.cli.tables import print_routes  # noqa: PLC0415  # not needed with --json

        print_routes(channels.destination, routes)
    return OK if all_live(routes) else NOT_ALL_SENT
