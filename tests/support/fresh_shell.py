"""A shell for the commands of a page, as a newcomer has it who has cloned and said `make install`."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tests.support.documents import Step
from tests.support.processes import ROOT
from tests.support.shown_output import ids_as_shown
from tests.support.waiting import wait_until

_CLONED: Final = ("*.lock", "*.md", "*.toml", "Makefile", "deploy", "docs", "mock_slack")
"""What commands need of the repository; not all of the folder, where somebody may have files of their own."""
_PORT: Final = re.compile(r"--port (\d{4,5})\b")


class Shell:
    """A shell in a folder that is new, in which the environment is built and nothing has been done yet."""

    def __init__(self, folder: Path, filled_in: Mapping[str, str]) -> None:
        self._folder = folder
        self._stderr = (folder.parent / "stderr.txt").open("w+", encoding="utf-8")
        # What stands in the page, and what a reader gives instead: places of their own, free ports, real ids.
        self._instead = dict(filled_in)
        self._ids: dict[str, str] = {}
        self._errors_before = 0
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=_environment(folder.parent),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            start_new_session=True,
        )

    def carry_out(self, step: Step) -> None:
        """Do what the page says, if a test can; raises AssertionError where it does not go as shown."""
        if not step.is_carried_out:
            return
        assert "…" not in step.command, f"{step.where}: nobody can give the command {step.command}"
        for port in _PORT.findall(step.command):
            self._instead.setdefault(port, str(_free_port()))
        command = self._filled_in(step.command)
        self._errors_before = self._stderr.seek(0, os.SEEK_END)
        printed, exit_code = self._run(command)
        outcome = f"{step.where}: {command}\nexit code {exit_code}, printed:\n{printed}\n{self._errors()}"
        assert exit_code == step.exit_code, outcome
        if re.search(r"&\s*(#.*)?$", command):
            for port in _PORT.findall(command):
                wait_until(partial(_answers, int(port)), what=f"something listens for {command}")
        if step.shown:
            # A terminal shows both streams; log lines are left out, as a page leaves them out.
            said = "".join(
                line for line in self._errors().splitlines(keepends=True) if line.startswith("risk-alerts:")
            )
            ids = ids_as_shown(self._filled_in(step.shown), f"{printed}\n{said}".strip())
            assert ids is not None, f"{outcome}\nthe page shows:\n{self._filled_in(step.shown)}"
            self._ids |= ids

    def close(self) -> None:
        """End the shell and all that was started in it."""
        group = self._process.pid
        for end in (signal.SIGTERM, signal.SIGKILL):
            if _is_there(group):
                os.killpg(group, end)
        self._process.communicate()
        wait_until(lambda: not _is_there(group), what="all that was started has ended")
        self._stderr.close()

    def _filled_in(self, text: str) -> str:
        for shown, real in self._instead.items():
            text = re.sub(rf"(?<!\d){re.escape(shown)}(?!\d)", real.replace("\\", r"\\"), text)
        for shown, real in self._ids.items():
            text = text.replace(shown, real)
        return text

    def _run(self, command: str) -> tuple[str, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        mark = "\x01"
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{mark}%s\\n' $?\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(mark):
                return "".join(lines).removesuffix("\n").rstrip("\n"), int(line.removeprefix(mark))
            lines.append(line)
        raise AssertionError(f"the shell has ended at {command}\n{self._errors()}")

    def _errors(self) -> str:
        self._stderr.seek(self._errors_before)
        return self._stderr.read()[-4000:]


@contextmanager
def fresh_shell(folder: Path, filled_in: Mapping[str, str]) -> Iterator[Shell]:
    """Open a shell in a folder as it is after cloning and `make install`; end all that was started in it."""
    clone = folder / "risk-alerts"
    environment = clone / ".venv"
    environment.mkdir(parents=True)
    for path in (path for pattern in _CLONED for path in ROOT.glob(pattern)):
        (clone / path.name).symlink_to(path)
    for part in Path(sys.prefix).iterdir():
        if part.name != ".installed":
            (environment / part.name).symlink_to(part)
    (environment / ".installed").touch()
    shell = Shell(clone, filled_in)
    try:
        yield shell
    finally:
        shell.close()


def _environment(home: Path) -> dict[str, str]:
    """Return what a new user of the machine has; the mock's faults are the same each time, as in the demo."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "TMPDIR"}}
    faults = {"SEED": "1", "MIN_RETRY_AFTER": "0.2", "MAX_RETRY_AFTER": "0.5"}
    return {**kept, "HOME": str(home), **{f"MOCK_SLACK_{name}": value for name, value in faults.items()}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
