"""`serve` looks after the doubts that runs have left: once a minute, while there are any."""

from typing import Final

from service.delivery.channels import Destination
from service.domain.errors import DatabaseUnusableError
from service.runs.context import App
from service.telemetry.events import SweepFailed

LOOK_EVERY_S: Final = 60.0


async def keep_reconciling(app: App) -> None:
    """Ask Slack whose token this is, then look again and again for what was claimed in RESUME_WITHIN_H."""
    if app.channels.destination is not Destination.BOT:
        return
    from service.runs.doubts.reconcile import reconcile_all  # noqa: PLC0415  # loads aiohttp

    await app.sender()
    while True:
        try:
            await reconcile_all(app, since=app.clock.now() - app.policy.resume_within)
        except DatabaseUnusableError as problem:
            app.events.emit(SweepFailed(exc_info=problem))
        await app.clock.sleep(LOOK_EVERY_S)
