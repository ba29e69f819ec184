"""The mock as an ASGI application: `app`, and `create_app` for a fresh one."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

from fastapi import FastAPI

from mock_slack import controls, webhook
from mock_slack.settings import Settings
from mock_slack.web_api import interactivity
from mock_slack.web_api import routes as web_api
from mock_slack.workspace import Workspace


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> FastAPI:
    """Return a mock Slack of its own.

    `settings` default to the environment; `clock` gives seconds for the rate limit and the gaps, `wall`
    seconds since 1970 for the timestamps of messages. Nothing is written until the first message arrives.
    Raises `pydantic.ValidationError` when the environment holds a wrong setting.
    """
    workspace = Workspace(settings or Settings(), clock, wall)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with closing(workspace.log):
            yield

    app = FastAPI(
        title="Mock Slack",
        description="A stand-in for incoming webhooks, and for a bot's Web API.",
        lifespan=lifespan,
    )
    app.state.workspace = workspace
    app.include_router(webhook.router)
    app.include_router(controls.router)
    app.include_router(web_api.router)
    app.include_router(interactivity.router)
    return app


def __getattr__(name: str) -> FastAPI:
    """Make `app` from the environment when it is first asked for: importing this module does nothing."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app: FastAPI = globals().setdefault(name, create_app())
    return app
