"""Start: how soon the command line and the service are there, and whether a scan blocks the event loop."""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles
from typing import Final

from benchmarks.data_shape import Shape
from benchmarks.measure import SERVICE, made, median_of, preview, run
from benchmarks.report import TIMES, Section, Target
from benchmarks.serving import POLL_S, serving

ROUNDS: Final = {"small": 5, "full": 10}
SHAPES: Final = {
    "small": Shape(accounts=50_000, layout="shuffled"),
    "full": Shape(accounts=500_000, layout="shuffled"),
}
TEN_ROWS: Final = Shape(accounts=5, months=2)


def bench(size: str) -> list[Section]:
    """Return the section."""
    source = made(TEN_ROWS).as_uri()
    previews = [preview(source, month=TEN_ROWS.month) for _ in range(ROUNDS[size])]
    helps = [run([*SERVICE, "--help"]).wall_s for _ in range(ROUNDS[size])]
    starts = []
    for _ in range(ROUNDS[size]):
        with serving() as service:
            starts.append(service.until_healthy())
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
            ("`risk-alerts preview --json` of ten rows, CPU", f"{median_of(previews).cpu_s * 1000:.0f}"),
            ("`risk-alerts preview --json` of ten rows", f"{median_of(previews).wall_s * 1000:.0f}"),
            ("`risk-alerts serve` until `/health` answers", f"{median(starts) * 1000:.0f}"),
            ("`/health` during a scan, median", f"{median(latencies) * 1000:.1f}"),
            ("`/health` during a scan, p99", f"{cuts[98] * 1000:.1f}"),
            ("`/health` during a scan, longest", f"{max(latencies) * 1000:.1f}"),
        ],
    )
    section.targets = [
        Target("cold start of `--help`", median(helps), 0.4, unit="s"),
        Target("CPU of `preview --json` of ten rows", median_of(previews).cpu_s, 0.7, unit="s"),
        Target("`/health` after `serve`", median(starts), 0.8, unit="s"),
        Target("p99 of `/health` during a scan", cuts[98] * 1000, 50, unit="ms"),
    ]
    return [section]


def _latencies_during_scan(shape: Shape) -> list[float]:
    source = made(shape).as_uri()
    with serving() as service:
        service.until_healthy()
        body = {"source_uri": source, "month": shape.month}
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(service.post, "/preview?limit=1", body)
            connection, latencies = service.connect(), []
            while not asking.done():
                latencies.append(service.get(connection))
                time.sleep(POLL_S)
            asking.result()
    return latencies
