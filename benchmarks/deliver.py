"""Deliver: the real outbox, queue and lanes into a local sink, against a bare loop with the same payloads."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.data_shape import Shape
from benchmarks.measure import SERVICE, made, run
from benchmarks.report import Section, Target

UNPACED: Final = {"small": Shape(accounts=15_000, months=2), "full": Shape(accounts=60_000, months=2)}
PACED: Final = {"small": Shape(accounts=1_500, months=2), "full": Shape(accounts=15_000, months=2)}
RATE: Final = 20.0
"""Messages a second and lane."""
CONNECTIONS: Final = 32
ROUNDS: Final = {"small": 2, "full": 5}
LIMIT_EVERY: Final = 40
RETRY_AFTER_S: Final = 0.7


def bench(size: str) -> list[Section]:
    """Return both sections."""
    return [_unpaced(size), _paced(size)]


def _unpaced(size: str) -> Section:
    ours, bare, sent = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        payloads = Path(folder) / "payloads.jsonl"
        with _sink("--record", str(payloads)) as base:
            _run(UNPACED[size], base, Path(folder), rate=0)
        for _ in range(ROUNDS[size]):
            with _sink() as base:
                _run(UNPACED[size], base, Path(folder), rate=0)
                times = _times(base)
                sent, rate = _rate(times)
                ours.append(rate)
            with _sink() as base:
                run([sys.executable, "-m", "benchmarks.bare_loop", str(payloads), base, str(CONNECTIONS)])
                count, rate = _rate(_times(base))
                bare.append(rate)
            if count != sent:
                raise RuntimeError(f"the bare loop sent {count} messages, the service {sent}")
    section = Section(
        title="Deliver, unpaced",
        about=(
            f"`risk-alerts run` with {sent:,} alerts through the outbox, durable claims (SQLite, "
            f"synchronous=FULL), settled rows and logs on, {CONNECTIONS} senders, into a local sink in a "
            "process of its own; against a bare aiohttp loop (on uvloop) that posts the same payloads "
            "over as many connections. Messages a second from the first to the last arrival; "
            f"{ROUNDS[size]} rounds, interleaved; medians."
        ),
        header=("", "messages a second"),
        rows=[("service", f"{median(ours):,.0f}"), ("bare loop", f"{median(bare):,.0f}")],
    )
    section.targets = [
        Target("rate against the bare loop's", median(ours) / median(bare), 0.4, at_least=True)
    ]
    return section


def _paced(size: str) -> Section:
    with tempfile.TemporaryDirectory() as folder, _sink() as base:
        _run(PACED[size], base, Path(folder), rate=RATE)
        lanes = _times(base)["arrivals"].values()
    ideal = max(len(lane) - 1 for lane in lanes) / RATE
    drained = max(lane[-1] for lane in lanes) - min(lane[0] for lane in lanes)
    with (
        tempfile.TemporaryDirectory() as folder,
        _sink("--limit-every", str(LIMIT_EVERY), "--retry-after", str(RETRY_AFTER_S)) as base,
    ):
        _run(PACED[size], base, Path(folder), rate=RATE)
        limited = _times(base)
    sent = sum(map(len, lanes))
    arrived = sum(map(len, limited["arrivals"].values()))
    section = Section(
        title="Deliver, paced",
        about=(
            f"{sent:,} alerts in {len(lanes)} lanes at {RATE:g} messages a second and lane; ideal is the "
            f"longest lane's N / rate. Then the same while every {LIMIT_EVERY}th message is answered with "
            f"429 and Retry-After {RETRY_AFTER_S:g}."
        ),
        header=("", "ideal s", "drained s", "429s broken"),
        rows=[
            ("all taken", f"{ideal:.2f}", f"{drained:.2f}", ""),
            (f"with 429s, {arrived:,} taken in the end", "", "", str(limited["too_early"])),
        ],
    )
    section.targets = [
        Target("drain time against ideal", drained / ideal, 1.03),
        Target("messages inside a Retry-After", limited["too_early"], 0, unit="messages"),
        Target("taken in spite of 429s", arrived / sent, 1, at_least=True),
    ]
    return section


def _run(shape: Shape, base: str, folder: Path, *, rate: float) -> None:
    """Run the month once, from an empty database."""
    database = folder / "benchmark.db"
    for old in folder.glob("benchmark.db*"):
        old.unlink()
    env = {
        "DATABASE_URL": f"sqlite:///{database}",
        "SLACK_WEBHOOK_BASE_URL": f"{base}/hooks",
        "SLACK_MESSAGES_PER_SECOND": str(rate),
        "SLACK_CONCURRENCY": str(CONNECTIONS),
        "REGION_CHANNELS": json.dumps(
            {region: region.lower() for region in ("AMER", "EMEA", "APAC", "LATAM")}
        ),
        "LOG_FORMAT": "json",
    }
    run([*SERVICE, "run", made(shape).as_uri(), "--month", shape.month, "--json"], env=env)


@contextmanager
def _sink(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.sink", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("the sink has no output")
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _times(base: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{base}/times", timeout=10) as answer:  # noqa: S310 - our own server
        times: dict[str, Any] = json.loads(answer.read())
    return times


def _rate(times: dict[str, Any]) -> tuple[int, float]:
    arrivals = sorted(at for lane in times["arrivals"].values() for at in lane)
    return len(arrivals), (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])
