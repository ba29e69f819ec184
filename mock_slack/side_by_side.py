"""Side by side: the service and the mock Slack as two processes, for the demo and the examples."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

START_LIMIT_S: Final = 60.0


@contextmanager
def service_beside_mock(
    folder: Path, *, messages_per_second: float = 10, **settings: str
) -> Iterator[tuple[str, str]]:
    """Start both with everything they write in `folder`; yield the service's and the mock's URL; stop both.

    `settings` are more of the service's. The mock answers 10 % of the messages with 429 and 5 % with 500, the
    same ones every time.
    """
    with _mock(folder) as slack, _service(folder, slack, messages_per_second, settings) as service:
        yield service, slack


def get(url: str) -> Any:
    """Return the JSON that a URL of this machine answers with; raises OSError."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310  # http to this machine
        return json.load(answer)


def post(url: str, body: object) -> Any:
    """Return the JSON that a URL of this machine answers a POST with; raises OSError."""
    request = urllib.request.Request(  # noqa: S310  # http to this machine
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


def run_command(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Run a command of the service on the same database, and return what it prints; exits if it fails."""
    settings = {"DATABASE_URL": _database_in(folder)}
    done = subprocess.run(  # noqa: S603  # this project's own command
        [sys.executable, "-m", "service", *arguments],
        cwd=folder,
        env=environment(settings),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"risk-alerts {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return what a process of this project is given: these settings, and none of the caller's."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return {**kept, "PYTHONPATH": str(Path(__file__).resolve().parent.parent), **settings}


def _database_in(folder: Path) -> str:
    return f"sqlite:///{folder}/risk_alerts.db"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _mock(folder: Path) -> Iterator[str]:
    port = _free_port()
    settings = {
        "MOCK_SLACK_PORT": str(port),
        "MOCK_SLACK_LOG_PATH": str(folder / "mock_slack_requests.jsonl"),
        "MOCK_SLACK_SEED": "1",
        "MOCK_SLACK_MIN_RETRY_AFTER": "0.2",
        "MOCK_SLACK_MAX_RETRY_AFTER": "0.5",
    }
    with _process([sys.executable, "-m", "mock_slack"], folder, settings, port, "mock_slack.log") as url:
        yield url


@contextmanager
def _service(folder: Path, slack: str, messages_per_second: float, more: Mapping[str, str]) -> Iterator[str]:
    port = _free_port()
    settings = {
        "SLACK_WEBHOOK_BASE_URL": f"{slack}/slack/webhook",
        "SLACK_API_URL": f"{slack}/api",
        **more,
        "SLACK_MESSAGES_PER_SECOND": str(messages_per_second),
        "DATABASE_URL": _database_in(folder),
    }
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with _process(command, folder, settings, port, "service.log") as url:
        yield url


@contextmanager
def _process(
    command: list[str], folder: Path, settings: dict[str, str], port: int, log: str
) -> Iterator[str]:
    """Start a server without the caller's settings, wait until it is healthy, and stop it at the end."""
    with (folder / log).open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # this project's own two servers
            command, cwd=folder, env=environment(settings), stdout=output, stderr=subprocess.STDOUT
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _until_healthy(process, url, folder / log)
            yield url
        finally:
            process.terminate()
            process.wait()


def _until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            get(f"{url}/health")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{url} did not start:\n{log.read_text()}")
