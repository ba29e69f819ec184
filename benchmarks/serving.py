"""A service of its own for a benchmark, and connections to it."""

import http.client
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.measure import SERVICE, clean_environment

POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Serving:
    """A service under way."""

    port: int
    pid: int
    started: float

    def get(self, connection: http.client.HTTPConnection) -> float:
        """Return the seconds that one `/health` took; raises OSError while nobody listens."""
        began = time.perf_counter()
        connection.request("GET", "/health")
        if connection.getresponse().read() == b"":
            raise RuntimeError("/health answered nothing")
        return time.perf_counter() - began

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is made when it is first used."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=1_800)

    def until_healthy(self) -> float:
        """Return the seconds from the start until `/health` answered."""
        while True:
            try:
                self.get(self.connect())
            except OSError:
                if time.perf_counter() - self.started > 60:
                    raise
                time.sleep(POLL_S)
            else:
                return time.perf_counter() - self.started

    def post(self, path: str, body: dict[str, Any]) -> None:
        """Post and wait for the answer; raises RuntimeError where it is no success."""
        connection = self.connect()
        connection.request("POST", path, orjson.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(text.decode())

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the process has taken so far; Linux only."""
        # After the command's name, which stands in brackets: the 14th and 15th of its figures.
        figures = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(figures[11]) + int(figures[12])) / os.sysconf("SC_CLK_TCK")

    def peak_rss_mb(self) -> float:
        """Return the peak of the process's memory so far; Linux only."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        if found is None:
            raise RuntimeError(f"{os.uname().sysname} does not say what a process has used")
        return int(found[1]) / 1024


@contextmanager
def serving(given: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """Start the service with a database of its own, or the one given, and stop it at the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        env = clean_environment({"DATABASE_URL": f"sqlite:///{folder}/serve.db"} | dict(given or {}))
        command = [*SERVICE, "serve", "--port", str(port)]
        started = time.perf_counter()
        with subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield Serving(port, process.pid, started)
            finally:
                process.terminate()
