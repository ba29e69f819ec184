"""The service and the mock Slack as processes of their own.

A process is started with exactly the settings given: the caller's environment lends it only what a process
needs to run at all.
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from mock_slack.running import RunningMock
from tests.support.forked import Forked, run_forked, start_forked
from tests.support.rows import MONTH
from tests.support.waiting import PATIENCE_S, wait_until

ROOT: Final = Path(__file__).parents[2]
_LENT: Final = (
    "PATH",
    "HOME",
    "XDG_DATA_HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SSL_CERT_FILE",
    "COVERAGE_PROCESS_START",
)
ASKING: Final = httpx2.Client(
    timeout=PATIENCE_S, trust_env=False, verify=False, limits=httpx2.Limits(max_keepalive_connections=0)
)
"""Asks processes, over a new connection each time; a new client would read all certificates each time."""
_LISTENING: Final = re.compile(r"Uvicorn running on (http://[\d.]+:\d+)")


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started here."""

    process: subprocess.Popen[bytes] | Forked
    # What it has written so far, stdout and stderr in one.
    log: Path
    # Where it listens; empty for one that does not.
    url: str = ""

    def kill(self) -> None:
        """End it as a power cut would, and reap it."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        self.process.send_signal(signal.SIGSTOP)
        # The signal takes a moment; only then does it stand still.
        state = Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: state.read_text().rpartition(") ")[2][0] in "TZ", what="it stands still")

    def freeze_between_transactions(self, database: Path) -> None:
        """Stop it where it holds no lock: who sleeps with SQLite's write lock in hand holds up everybody."""

        def frozen() -> bool:
            self.freeze()
            with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as ledger:
                try:
                    ledger.execute("BEGIN IMMEDIATE")
                    ledger.execute("ROLLBACK")
                except sqlite3.OperationalError:
                    self.thaw()
                    return False
            return True

        wait_until(frozen, what="it stands still outside a transaction")

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.process.terminate()

    def exit_code(self) -> int:
        """Wait until it has ended and return how."""
        return self.process.wait(PATIENCE_S)

    def events(self) -> list[dict[str, Any]]:
        """Return its log lines so far."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of a process with exactly the settings given."""
    lent = {name: os.environ[name] for name in _LENT if name in os.environ}
    return {**lent, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings}


def unpaced(folder: Path, **settings: str) -> dict[str, str]:
    """Return the settings of a service or command whose ledger lies in `folder`, unpaced."""
    return {
        "DATABASE_URL": f"sqlite:///{folder / 'risk_alerts.db'}",
        "SLACK_MESSAGES_PER_SECOND": "0",
        **settings,
    }


def command(
    folder: Path, *arguments: str, stdin: str | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `risk-alerts` to its end, in `folder` and with its ledger there; `stdin` is what it may read."""
    env = environment(**unpaced(folder, **settings))
    return run_forked(arguments, folder=folder, env=env, stdin=stdin or "", timeout_s=PATIENCE_S)


@contextmanager
def started(
    command: Iterable[str], *, folder: Path, env: Mapping[str, str], limits: Callable[[], None] | None = None
) -> Iterator[Running]:
    """Run a command of this project in `folder` until the block is left; `limits` is called in the child."""
    log = folder / f"{time.monotonic_ns()}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            preexec_fn=limits,  # noqa: PLW1509  # no threads in the child: it only sets its own limits
        )
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


@contextmanager
def forked(arguments: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> Iterator[Running]:
    """Run `risk-alerts` in `folder` until the block is left, forked: it begins with all loaded."""
    log = folder / f"{time.monotonic_ns()}.log"
    log.touch()
    streams = (os.devnull, log, log)
    process = start_forked(arguments, folder=folder, env=environment(**env), streams=streams)
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def _begun(
    arguments: Sequence[str], folder: Path, env: Mapping[str, str], limits: Callable[[], None] | None
) -> AbstractContextManager[Running]:
    if limits is None:
        return forked(arguments, folder=folder, env=env)
    return started(("-m", "service", *arguments), folder=folder, env=env, limits=limits)


def listening(running: Running) -> Running:
    """Wait until a server that was started here answers, and return it with its address."""

    def address() -> str:
        text = running.log.read_text()
        assert running.process.poll() is None, f"it ended at once:\n{text}"
        found = _LISTENING.search(text)
        return found[1] if found else ""

    url = wait_until(address, what="it listens")
    wait_until(lambda: ASKING.get(f"{url}/health"), what="it answers")
    return Running(running.process, running.log, url)


@contextmanager
def service(
    folder: Path, env: Mapping[str, str], *, limits: Callable[[], None] | None = None
) -> Iterator[Running]:
    """Run `risk-alerts serve` on a free port until the block is left; it answers when this returns.

    A process that is forked, unless it has `limits`: those are set before it loads anything.
    """
    with _begun(("serve", "--port", "0"), folder, env, limits) as running:
        yield listening(running)


@contextmanager
def run_command(
    source_uri: str,
    *,
    folder: Path,
    env: Mapping[str, str],
    month: str = MONTH,
    limits: Callable[[], None] | None = None,
) -> Iterator[Running]:
    """Start `risk-alerts run`, as `service` does; what is left of it when the block is left is killed."""
    with _begun(("run", source_uri, "--month", month, "--json"), folder, env, limits) as running:
        yield running


@contextmanager
def mock_process(folder: Path, **settings: object) -> Iterator[tuple[RunningMock, Running]]:
    """Run the mock Slack as a process of its own: on a free port and without faults unless told otherwise."""
    calm: dict[str, object] = {
        "fail_rate_429": 0,
        "fail_rate_500": 0,
        "log_path": folder / "mock.jsonl",
        "port": 0,
    }
    env = {f"MOCK_SLACK_{name.upper()}": str(value) for name, value in (calm | settings).items()}
    with started(("-m", "mock_slack"), folder=folder, env=env) as running:
        answering = listening(running)
        yield RunningMock(answering.url), answering
