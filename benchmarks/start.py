"""Start: how soon the command line and the service are there, and whether a scan blocks the event loop."""

import http.client
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

from benchmarks.data_shape import Shape
from benchmarks.measure import SERVICE, clean_environment, made, run
from benchmarks.report import TIMES, Section, Target

ROUNDS: Final = {"small": 5, "full": 10}
SHAPES: Final = {
    "small": Shape(accounts=50_000, layout="shuffled"),
    "full": Shape(accounts=500_000, layout="shuffled"),
}
POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class _Service:
    port: int
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
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)


def bench(size: str) -> list[Section]:
    """Return the section."""
    helps = [run([*SERVICE, "--help"]).wall_s for _ in range(ROUNDS[size])]
    starts = []
    for _ in range(ROUNDS[size]):
        with _serving() as service:
            starts.append(_until_healthy(service))
    latencies = _latencies_during_scan(SHAPES[size])
    cuts = quantiles(latencies, n=100, method="inclusive")
    section = Section(
        title="Start, and the event loop",
        about=(
            f"Cold processes, warm page cache, medians of {ROUNDS[size]}; then `/health` asked every "
            f"{POLL_S * 1000:g} ms over one connection while the service previews "
            f"{SHAPES[size].accounts:,} accounts {TIMES} {SHAPES[size].months} months, shuffled "
            f"({len(latencies):,} answers)."
        ),
        header=("", "ms"),
        rows=[
            ("`risk-alerts --help`", f"{median(helps) * 1000:.0f}"),
            ("`risk-alerts serve` until `/health` answers", f"{median(starts) * 1000:.0f}"),
            ("`/health` during a scan, median", f"{median(latencies) * 1000:.1f}"),
            ("`/health` during a scan, p99", f"{cuts[98] * 1000:.1f}"),
            ("`/health` during a scan, longest", f"{max(latencies) * 1000:.1f}"),
        ],
    )
    section.targets = [
        Target("cold start of `--help`", median(helps), 0.4, unit="s"),
        Target("`/health` after `serve`", median(starts), 1.5, unit="s"),
        Target("p99 of `/health` during a scan", cuts[98] * 1000, 50, unit="ms"),
    ]
    return [section]


def _latencies_during_scan(shape: Shape) -> list[float]:
    source = made(shape).as_uri()
    with _serving() as service:
        _until_healthy(service)
        failed: list[str] = []

        def ask() -> None:
            connection = service.connect()
            body = json.dumps({"source_uri": source, "month": shape.month})
            connection.request("POST", "/preview?limit=1", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                failed.append(answer.read().decode())

        asking = threading.Thread(target=ask)
        asking.start()
        connection, latencies = service.connect(), []
        while asking.is_alive():
            latencies.append(service.get(connection))
            time.sleep(POLL_S)
        if failed:
            raise RuntimeError(failed[0])
    return latencies


def _until_healthy(service: _Service) -> float:
    while True:
        try:
            service.get(service.connect())
        except OSError:
            if time.perf_counter() - service.started > 60:
                raise
            time.sleep(POLL_S)
        else:
            return time.perf_counter() - service.started


@contextmanager
def _serving() -> Iterator[_Service]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        env = clean_environment({"DATABASE_URL": f"sqlite:///{folder}/serve.db"})
        command = [*SERVICE, "serve", "--port", str(port)]
        started = time.perf_counter()
        with subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield _Service(port, started)
            finally:
                process.terminate()
