"""The wiring: every resource of one process is opened and closed here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import structlog

from service.delivery.channels import Channels
from service.delivery.slack import open_slack
from service.delivery.support_notice import NOTICE_FOLDER, SupportNotice
from service.domain.errors import DatabaseUnusableError, RiskAlertsError
from service.domain.progress import Progress
from service.runs.context import App
from service.runs.execute import resume_run
from service.runtime.clock import Clock, SystemClock
from service.runtime.first_of import first_of
from service.settings import Settings
from service.store.store import open_store
from service.telemetry.events import Events, SweepFailed

__all__ = ["App", "open_app"]


@asynccontextmanager
async def open_app(
    settings: Settings, *, clock: Clock | None = None, events: Events | None = None, resumes: bool = False
) -> AsyncIterator[App]:
    """Open everything a process needs; raises DatabaseUnusableError, and ValueError for a bad CONFIG_FILE.

    With `resumes`, runs whose process died are resumed here; else they are left to whoever does.
    """
    clock = clock or SystemClock()
    token = settings.slack_auth_token
    base, single = settings.slack_webhook_base_url, settings.slack_webhook_url
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.database_url.get_secret_value()))
        sender = await stack.enter_async_context(
            open_slack(
                concurrency=settings.slack_concurrency,
                auth_token=token.get_secret_value() if token else None,
                clock=clock,
            )
        )
        app = App(
            settings=settings,
            channels=Channels(
                by_region=settings.channels_by_region(),
                webhook_base_url=base.get_secret_value() if base else None,
                webhook_url=single.get_secret_value() if single else None,
            ),
            store=store,
            sender=sender,
            notice=support_notice(settings),
            clock=clock,
            events=events or Events(),
        )
        stack.push_async_callback(_finish, app)
        stack.push_async_callback(_end, asyncio.create_task(_sweep(app, resumes=resumes)))
        yield app


def support_notice(settings: Settings) -> SupportNotice:
    """Return where notices go: the folder is the one that the SQLite database lies in, else `data/`."""
    scheme, _, path = settings.database_url.get_secret_value().partition(":///")
    is_sqlite = scheme.startswith("sqlite")
    beside = Path(path.split("?")[0].removeprefix("file:")).parent if is_sqlite else Path("data")
    return SupportNotice(
        recipient=settings.support_email,
        sender=settings.support_email_from,
        smtp_url=settings.smtp_url.get_secret_value() if settings.smtp_url else None,
        folder=beside / NOTICE_FOLDER,
    )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _finish(app: App) -> None:
    """Give the runs that are still at work their grace: they know that the process is stopping."""
    app.stop()
    if app.tasks:
        # What has not even been released by then is found when its lease has run out.
        await first_of(asyncio.wait(app.tasks), app.clock.sleep(app.settings.shutdown_grace_s))
        for task in app.tasks:
            task.cancel()
        await asyncio.gather(*app.tasks, return_exceptions=True)


async def _sweep(app: App, *, resumes: bool) -> None:
    """Look after runs whose process died, again and again: none stays `running`."""
    while True:
        try:
            await app.rescue_runs()
            if resumes:
                await _resume_runs(app)
        except DatabaseUnusableError as problem:
            app.events.emit(SweepFailed(error=problem))
        await app.clock.sleep(app.settings.lease_s / 2)


async def _resume_runs(app: App) -> None:
    if not app.channels.is_configured:
        return  # it could not send; a process that can may yet come
    for run_id in await app.store.rescue.resumable(since=app.resumable_since()):
        if run_id not in app.running:
            with structlog.contextvars.bound_contextvars(run_id=run_id):
                app.spawn(_resume(app, run_id))


async def _resume(app: App, run_id: str) -> None:
    # Nobody waits for its answer: what failed is in the run's record, and in the log.
    with suppress(RiskAlertsError):
        await resume_run(app, run_id, progress=Progress())
