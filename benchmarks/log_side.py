"""One side of the comparison over logs, in a process of its own: load, answer, report.

All sides find the episodes of the two rules that ship: who (a bundle, or all), from when to when, and the
most events in a window. Each reads only the columns that it needs, and gets as many threads.
"""

import argparse
import importlib
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from benchmarks.measure import THREADS

_MINUTE: Final = 60_000_000


class Asked(NamedTuple):
    """One rule; durations in microseconds."""

    by_bundle: bool
    more_than: int
    window: int
    quiet: int


RULES: Final = (
    Asked(by_bundle=False, more_than=10, window=_MINUTE, quiet=10 * _MINUTE),
    Asked(by_bundle=True, more_than=10, window=60 * _MINUTE, quiet=60 * _MINUTE),
)
SIDES: Final = {
    "ours": ("rules",),
    "floor": ("decode",),
    "duckdb": ("range", "asof"),
    "polars": ("rolling", "asof"),
    "pandas": ("asof",),
    "exercise": ("text", "inferred"),
}
"""Their formulations; `exercise` is the reference's way: every column, a count and an alert for every row."""

Found: TypeAlias = tuple[int, str, int, int, int]
"""Number of the rule, bundle, start, last, peak."""
Work: TypeAlias = Callable[[Path], Sequence[Found]]


def main() -> None:
    """Run one side once, print its figures as JSON, and write its answer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.log_side")
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("source", type=Path)
    parser.add_argument("--formulation", required=True)
    parser.add_argument("--answer", type=Path, required=True)
    arguments = parser.parse_args()
    started = time.perf_counter()
    side = importlib.import_module(f"benchmarks.log_side_{arguments.side}")
    work: Work = side.load(arguments.formulation, THREADS)
    loaded, before = time.perf_counter(), _cpu_seconds()
    found = work(arguments.source)
    done, after = time.perf_counter(), _cpu_seconds()
    arguments.answer.write_text("\n".join(map(json.dumps, sorted(found))))
    figures = {"wall_s": done - loaded, "cpu_s": after - before, "rss_mb": _peak_rss_mb()}
    print(json.dumps(figures | {"import_s": loaded - started, "counting_s": getattr(side, "counting_s", 0)}))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_rss_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
