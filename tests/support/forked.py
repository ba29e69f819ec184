"""Commands in processes that are forked from one which has loaded the service, as `multiprocessing` does it.

A process of `risk-alerts` takes most of a second of CPU to load its libraries, and hundredths for its work.
Here they are loaded once. What is forked is a process like any other, with settings, a folder, streams and a
main thread of its own. How a real one starts, and what it loads, is asked of real ones.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_FIRST: Final = ("service.cli.main", "service.telemetry.structured", "alembic", "pytest")
"""As a command begins; and what a migration, and the test process itself, would load again in each fork."""


def forking() -> ForkServerContext:
    """Return what makes processes; whoever asks first loads the service for all."""
    context = multiprocessing.get_context("forkserver")
    files = (path.relative_to(_ROOT).with_suffix("") for path in (_ROOT / "service").rglob("[!_]*.py"))
    modules = (".".join(file.parts) for file in files if "migrations" not in file.parts)
    context.set_forkserver_preload([*_FIRST, *modules])
    return context


@dataclass(frozen=True, slots=True)
class Forked:
    """A process that was forked, with the verbs of `subprocess.Popen`."""

    pid: int
    _process: BaseProcess

    def poll(self) -> int | None:
        """Return how it ended; None while it lives."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended and return how; raises TimeoutExpired."""
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.send_signal(signal.SIGTERM)


def start_forked(
    arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], streams: Sequence[str | Path]
) -> Forked:
    """Start `risk-alerts`; `streams` are the files that are its stdin, stdout and stderr."""
    process = forking().Process(target=_become, args=(arguments, folder, dict(env), streams))
    process.start()
    return Forked(process.pid or 0, process)


def run_forked(
    arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], stdin: str, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `risk-alerts` to its end; raises TimeoutExpired."""
    with tempfile.TemporaryDirectory() as scratch:
        streams = [Path(scratch, name) for name in ("stdin", "stdout", "stderr")]
        streams[0].write_text(stdin)
        process = start_forked(arguments, folder=folder, env=env, streams=streams)
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
        said = (stream.read_text() for stream in streams[1:])
        return subprocess.CompletedProcess(arguments, code, *said)


def _become(
    arguments: Sequence[str], folder: Path, env: Mapping[str, str], streams: Sequence[str | Path]
) -> None:
    """Make this process the command that was asked for."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # open until the process ends, like the two below
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    # By lines, as a process has it.
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
    sys.argv = ["risk-alerts", *arguments]
    from service.cli.main import main  # noqa: PLC0415  # loaded before this process began

    main()
