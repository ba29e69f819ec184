"""Memory: flat in rows, bounded for one giant row group, no wider for a wide file, and one evaluation's."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from benchmarks.data_shape import Shape
from benchmarks.measure import Used, made, median_of, preview, stated_mb
from benchmarks.report import TIMES, Section, Target
from benchmarks.serving import serving

ACCOUNTS: Final = {"small": 20_000, "full": 167_000}
WIDE: Final = {"small": Shape(accounts=10_000), "full": Shape(accounts=500_000)}
ROUNDS: Final = {"small": 1, "full": 3}
EXTRA_COLUMNS: Final = 41
AT_ONCE: Final = {
    "small": Shape(accounts=50_000, layout="shuffled"),
    "full": Shape(accounts=500_000, layout="shuffled"),
}
EACH: Final = 8
"""As many previews, and as many runs, as MAX_CONCURRENT_RUNS lets be at work."""
GIANT: Final = 1_000_000_000
"""Rows a group: one row group, however large the file."""


def bench(size: str) -> list[Section]:
    """Return all sections."""
    return [_flat(size), _wide(size), _at_once(size)]


def _flat(size: str) -> Section:
    few = Shape(accounts=ACCOUNTS[size], months=12)
    many = Shape(accounts=ACCOUNTS[size], months=120)
    shapes = {
        "12 months": few,
        "120 months, ten times the rows": many,
        "120 months, shuffled": replace(many, layout="shuffled"),
        "120 months, one giant row group": replace(many, row_group_size=GIANT),
    }
    runs = _measure(shapes, ROUNDS[size])
    used = {name: median_of(several) for name, several in runs.items()}
    section = _section(
        "Memory",
        f"`risk-alerts preview`, whole process, over {ACCOUNTS[size]:,} accounts: ten times the rows of "
        f"the same accounts, by month and shuffled, and the same in a single row group. {ROUNDS[size]} "
        "rounds, interleaved; medians. The bound is what `risk-alerts plan` states, for the accounts that "
        "there are and those of them At Risk.",
        used,
    )
    bounds = {name: _stated_mb(shape, runs[name][0]) for name, shape in shapes.items()}
    section.header = (*section.header, "bound MB")
    section.rows = [(*row, f"{bounds[row[0]]:.0f}") for row in section.rows]
    first = used["12 months"]
    section.targets = [
        Target(
            "peak RSS, ten times the rows", used["120 months, ten times the rows"].rss_mb / first.rss_mb, 1.2
        ),
        *(
            Target(
                f"largest peak RSS against the bound that `plan` states, {name}",
                max(one.rss_mb for one in runs[name]) / bounds[name],
                1,
            )
            for name in shapes
        ),
    ]
    giant = used["120 months, one giant row group"].rss_mb / used["120 months, ten times the rows"].rss_mb
    section.notes.append(
        f"One giant row group takes {giant:.2f} {TIMES} the memory of row groups of the default size."
    )
    return section


def _stated_mb(shape: Shape, used: Used) -> float:
    at_risk = json.loads(used.output)["ledger"]["at_risk"]
    return stated_mb(made(shape).as_uri(), month=shape.month, accounts=shape.accounts, at_risk=at_risk)


def _wide(size: str) -> Section:
    narrow = WIDE[size]
    wide = replace(narrow, extra_columns=EXTRA_COLUMNS)
    runs = _measure({"9 columns": narrow, f"{9 + EXTRA_COLUMNS} columns": wide}, ROUNDS[size])
    used = {name: median_of(several) for name, several in runs.items()}
    source = made(wide)
    section = _section(
        "Wide files",
        f"`risk-alerts preview`, whole process, over {narrow.accounts:,} accounts {TIMES} {narrow.months} "
        f"months: the same rows with {EXTRA_COLUMNS} columns that nobody asked for "
        f"({source.stat().st_size / 1e9:.1f} GB). {ROUNDS[size]} rounds, interleaved; medians.",
        used,
    )
    first, second = used.values()
    section.targets = [Target("wall, wide against narrow", second.wall_s / first.wall_s, 1.15)]
    return section


def _at_once(size: str) -> Section:
    shape = AT_ONCE[size]
    body: dict[str, Any] = {"source_uri": made(shape).as_uri(), "month": shape.month}
    alone = [("/preview?limit=1", body)]
    together = EACH * [*alone, ("/runs", body | {"dry_run": True})]
    used = {"one preview": _served(alone), f"{EACH} previews and {EACH} dry runs": _served(together)}
    first, second = (rss_mb for _, rss_mb in used.values())
    section = Section(
        title="Evaluations at once",
        about=f"`risk-alerts serve`, whole process, asked for one evaluation and for {2 * EACH} at once, of "
        f"{shape.accounts:,} accounts {TIMES} {shape.months} months, shuffled.",
        header=("asked for", "wall s", "peak RSS MB"),
        rows=[(name, f"{wall_s:.1f}", f"{rss_mb:.0f}") for name, (wall_s, rss_mb) in used.items()],
    )
    section.targets = [Target(f"peak RSS, {2 * EACH} evaluations against one", second / first, 1.3)]
    return section


def _served(requests: Sequence[tuple[str, dict[str, Any]]]) -> tuple[float, float]:
    """Return the seconds until all of these were answered, and the service's peak RSS in MB."""
    with serving() as service:
        service.until_healthy()
        began = time.perf_counter()
        with ThreadPoolExecutor(len(requests)) as pool:
            for asked in [pool.submit(service.post, path, body) for path, body in requests]:
                asked.result()
        return time.perf_counter() - began, service.peak_rss_mb()


def _measure(shapes: dict[str, Shape], rounds: int) -> dict[str, list[Used]]:
    runs: dict[str, list[Used]] = {name: [] for name in shapes}
    for _ in range(rounds):
        for name, shape in shapes.items():
            runs[name].append(preview(made(shape).as_uri(), month=shape.month))
    return runs


def _section(title: str, about: str, used: dict[str, Used]) -> Section:
    section = Section(title=title, about=about, header=("file", "wall s", "CPU s", "peak RSS MB"))
    for name, one in used.items():
        section.rows.append((name, f"{one.wall_s:.2f}", f"{one.cpu_s:.2f}", f"{one.rss_mb:.0f}"))
    return section
