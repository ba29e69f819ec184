"""What the tests of the doors share: a small source, a service that runs, commands that run."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
import uvicorn

from service.api.application import app_of, create_app
from service.cli.sample_data import SCHEMA
from service.domain.month import Month
from service.domain.run import RunError, RunRequest
from service.domain.source_uri import SourceUri
from service.settings import Settings
from service.store.store import Store, open_store
from service.telemetry.logs import configure_logging
from service.wiring import App, open_app

MONTH: Final = "2026-01-01"
DEADLINE_S: Final = 30.0

CANARY_PATH: Final = "/services/T0CANARY/B0CANARY/canarywebhooksecret"
CANARY_TOKEN: Final = "canary-token-1234567890"
CANARY_SMTP_PASSWORD: Final = "canarysmtppassword"


@contextmanager
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Configure the logs of this process, and return a function that returns their lines so far."""
    stream = io.StringIO()
    with _logs(format="json", stream=stream):
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@contextmanager
def _logs(**how: Any) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(**how)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


def account(number: int, **changes: Any) -> dict[str, Any]:
    """Return the row of an account that is At Risk in the month, as `changes` have it."""
    row = {
        "account_id": f"a{number:03d}",
        "account_name": f"Account {number}",
        "account_region": "AMER",
        "month": date.fromisoformat(MONTH),
        "status": "At Risk",
        "renewal_date": date(2026, 6, 30),
        "account_owner": "owner@example.com",
        "arr": 100_000 - number,
        "updated_at": datetime(2026, 1, 20, tzinfo=UTC),
    }
    return row | changes


def write_source(path: Path, *rows: dict[str, Any]) -> str:
    """Write `rows` and return the file's URI."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), path)
    return path.as_uri()


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; fail after a deadline that no healthy machine needs."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it never came true"
        threading.Event().wait(0.02)


@dataclass(frozen=True, slots=True)
class RunningService:
    """The API behind a real server, and a client for it."""

    client: httpx2.Client
    app: App

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
        request = RunRequest(source=SourceUri.parse("file:///elsewhere.parquet"), month=Month.parse(MONTH))
        await store.runs.begin("elsewhere", request, started_at=datetime.now(UTC), lease_s=3_600)
        await store.runs.acquire_month("elsewhere", request.month, now=datetime.now(UTC))

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
) -> Iterator[RunningService]:
    """Serve the API in a thread of this process until the block is left."""
    api = create_app(settings, opened=opened)
    config = uvicorn.Config(api, host="127.0.0.1", port=0, ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    with ExitStack() as stack:
        if not structlog.is_configured():
            # As every door does; pytest shows it with a test that fails.
            stack.enter_context(_logs(format="console", stream="stderr"))
        thread.start()
        stack.callback(thread.join, DEADLINE_S)
        stack.callback(setattr, server, "should_exit", True)  # noqa: FBT003  # setattr takes no keywords
        wait_until(lambda: server.started or not thread.is_alive())
        app = app_of(api)
        assert app is not None
        port = server.servers[0].sockets[0].getsockname()[1]
        client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S, trust_env=False)
        yield RunningService(stack.enter_context(client), app)


def environment(folder: Path, **values: str) -> dict[str, str]:
    """Return the environment of a command that works in `folder`: nothing of this process's settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return (
        kept
        | {
            "PYTHONPATH": str(Path.cwd()),
            "DATABASE_URL": f"sqlite:///{folder / 'risk_alerts.db'}",
            "SLACK_MESSAGES_PER_SECOND": "0",
        }
        | values
    )


def command(folder: Path, *arguments: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run `risk-alerts` to its end, in `folder`, with `values` in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=folder,
        env=environment(folder, **values),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def started(folder: Path, *arguments: str, **values: str) -> Iterator[subprocess.Popen[str]]:
    """Start `risk-alerts` with its output in `folder`/out and `folder`/err; kill what is left at the end."""
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            cwd=folder,
            env=environment(folder, **values),
            stdout=out,
            stderr=err,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
