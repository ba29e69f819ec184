"""`serve`: the API behind uvicorn, draining from the moment a signal arrives."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Final

import uvicorn

import service.api.schemas.fastapi_models  # noqa: F401  # before anything else loads FastAPI
from service.api.access import OPEN_TO_ALL, is_loopback
from service.api.application import create_app
from service.api.connections import server_config
from service.api.late_routes import LateRoutes
from service.cli.command import command
from service.cli.exit_codes import OK, RUN_FAILED
from service.runtime.daemon_thread import run_in_daemon_thread
from service.settings import Settings
from service.telemetry.logs import configure_logging
from service.telemetry.redaction import Redactor
from service.telemetry.structured import structlog
from service.wiring import App, open_app

SWITCH_INTERVAL_S: Final = 0.001
"""How long a thread that evaluates may keep the event loop waiting, each time that it has to hand over.

An answer needs a dozen handovers between the loop and the database's thread: at Python's own 5 ms `/health`
took 70 to 90 ms while alerts were made and digested.
"""

ALONE_AFTER_TICKS: Final = 20
"""So many tenths of a second without a request, and the service resumes, sends and deletes unasked."""


@command
def serve_api(settings: Settings, *, host: str, port: int) -> int:
    """Serve until a signal, and return the exit code."""
    configure_logging(
        level=settings.log_level, format=settings.log_format, redact=Redactor(settings.secrets())
    )
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # uvicorn's faster loop, where it is installed.
    factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_serve(settings, host=host, port=port))


async def _serve(settings: Settings, *, host: str, port: int) -> int:
    # The application is opened here and not by the server, so that what is wrong with the database is said
    # plainly and at once.
    begin = asyncio.Event()
    async with open_app(settings, resumes=True, begin=begin) as app:
        await app.authenticator.check_somebody_could_come()
        app.people.check()
        if not is_loopback(host) and await app.authenticator.is_open():
            structlog.get_logger().warning("open_to_all", host=host, detail=OPEN_TO_ALL)

        def opened(_: Settings) -> AbstractAsyncContextManager[App]:
            return nullcontext(app)

        api = create_app(settings, opened=opened)
        config = server_config(
            api,
            host=host,
            port=port,
            grace_s=settings.shutdown_grace_s,
            upload_limit_mb=settings.upload_limit_mb,
        )
        try:
            await DrainingServer(config, app, api.state.late_routes, begin).serve()
        except SystemExit:
            # How uvicorn says that the port is taken; it has logged so.
            return RUN_FAILED
    return OK


class DrainingServer(uvicorn.Server):
    """A server that stops deliveries when the signal arrives, not when its last request has ended.

    Runs hold their requests open: waiting for the requests first would let every run finish.
    """

    def __init__(
        self, config: uvicorn.Config, app: App, late_routes: LateRoutes, begin: asyncio.Event
    ) -> None:
        super().__init__(config)
        self._begin = begin
        self._app = app
        self._late_routes = late_routes
        self._loading: asyncio.Task[None] | None = None

    async def on_tick(self, counter: int) -> bool:
        """Once somebody has been answered, or nobody came, load what the start did not wait for."""
        if self._loading is None and (self.server_state.total_requests or counter >= ALONE_AFTER_TICKS):
            self._loading = self._app.at_work.spawn(self._load())
        return await super().on_tick(counter)

    async def _load(self) -> None:
        try:
            await run_in_daemon_thread(self._late_routes.add)
            await self._app.load()
        finally:
            self._begin.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain."""
        self._app.at_work.stop()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals inside the event loop; the process then exits by itself, once all is closed.

        uvicorn's own version raises the signal again at the end, which would kill the process before the
        application has been closed.
        """
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for one in signals:
            loop.add_signal_handler(one, self.handle_exit, one, None)
        try:
            yield
        finally:
            for one in signals:
                loop.remove_signal_handler(one)
