"""The API behind a real server in this process, and its logs."""

import asyncio
import io
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import structlog
import uvicorn

from service.account_risk.kind import month_request
from service.api.application import create_app
from service.api.connections import Connection, server_config
from service.api.context import context_of
from service.domain.month import Month
from service.domain.run import RunError
from service.domain.source_uri import SourceUri
from service.settings import Settings
from service.store.store import Store, open_store
from service.telemetry.logs import configure_logging
from service.wiring import App, open_app
from tests.support.logs import logging_put_back
from tests.support.rows import MONTH
from tests.support.waiting import wait_until

DEADLINE_S: Final = 30.0

CANARY_PATH: Final = "/services/T0CANARY/B0CANARY/canarywebhooksecret"
CANARY_TOKEN: Final = "canary-token-1234567890"
CANARY_SMTP_PASSWORD: Final = "canarysmtppassword"


@contextmanager
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Configure the logs of this process, and return a function that returns their lines so far."""
    stream = io.StringIO()
    with logging_put_back():
        configure_logging(format="json", stream=stream)
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@dataclass(frozen=True, slots=True)
class RunningService:
    """The API behind a real server, and a client for it."""

    client: httpx2.Client
    app: App
    requests: Callable[[], int]
    """How many requests the server is at work on, their clients gone or not."""

    def get(self, path: str, **params: Any) -> Any:
        """Return what a GET answers, which must be a 200."""
        response = self.client.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def run(self, source_uri: str, **body: Any) -> dict[str, Any]:
        """Run the month to its end and return the run."""
        response = self.client.post("/runs", json={"source_uri": source_uri, "month": MONTH} | body)
        assert response.status_code == 200, response.text
        assert list(response.json()) == ["run_id"]
        run: dict[str, Any] = self.get(f"/runs/{response.json()['run_id']}")
        return run


@contextmanager
def month_held_elsewhere(folder: Path) -> Iterator[None]:
    """Hold the month as a run of another process does, until the block is left: every real run waits."""

    async def work(step: Callable[[Store], Awaitable[Any]]) -> None:
        async with open_store(f"sqlite:///{folder / 'risk_alerts.db'}") as store:
            await step(store)

    async def take(store: Store) -> None:
        request = month_request(SourceUri.parse("file:///elsewhere.parquet"), Month.parse(MONTH))
        await store.runs.begin("elsewhere", request, started_at=datetime.now(UTC), lease_s=3_600)
        await store.runs.acquire_lease("elsewhere", request.scope, now=datetime.now(UTC))

    async def give_back(store: Store) -> None:
        ended = RunError(code="interrupted", detail="of the test")
        await store.runs.finish("elsewhere", now=datetime.now(UTC), error=ended)

    asyncio.run(work(take))
    try:
        yield
    finally:
        asyncio.run(work(give_back))


def settings(folder: Path, **values: Any) -> Settings:
    """Return settings with a database of their own, and a webhook that nobody listens to."""
    given: dict[str, Any] = {
        "database_url": f"sqlite:///{folder / 'risk_alerts.db'}",
        "slack_webhook_base_url": "http://127.0.0.1:9/hooks",
        "slack_messages_per_second": 0,
    }
    return Settings(_env_file=None, **given | values)


@contextmanager
def running_service(
    settings: Settings,
    *,
    opened: Callable[[Settings], AbstractAsyncContextManager[App]] = open_app,
    connection: type[Connection] = Connection,
) -> Iterator[RunningService]:
    """Serve the API in a thread of this process until the block is left."""
    api = create_app(settings, opened=opened)
    config = server_config(
        api,
        host="127.0.0.1",
        port=0,
        grace_s=DEADLINE_S,
        upload_limit_mb=settings.upload_limit_mb,
        connection=connection,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    with ExitStack() as stack:
        if not structlog.is_configured():
            # As every door does; pytest shows it with a test that fails.
            stack.enter_context(logging_put_back())
            configure_logging(format="console", stream="stderr")
        thread.start()
        stack.callback(thread.join, DEADLINE_S)
        stack.callback(setattr, server, "should_exit", True)  # noqa: FBT003  # setattr takes no keywords
        wait_until(lambda: server.started or not thread.is_alive())
        app = context_of(api).app
        port = server.servers[0].sockets[0].getsockname()[1]
        # Plain HTTP needs no certificates, which take 30 ms of CPU to read.
        client = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S, trust_env=False, verify=False
        )
        yield RunningService(stack.enter_context(client), app, lambda: len(server.server_state.tasks))
