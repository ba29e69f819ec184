"""A day of logs: 100 million rows as Parquet, a fifth of them as CSV, and a quarter of each."""

import tempfile
from pathlib import Path
from typing import Final

from benchmarks.logs import Log, made, run_log
from benchmarks.measure import THREADS, Used, median_of
from benchmarks.report import TIMES, Section, Target

ROUNDS: Final = {"small": 1, "full": 3}
_DAY: Final = {"small": 2_000_000, "full": 100_000_000}
_SHARE_OF_CSV: Final = 5
_PART: Final = 4


def bench(size: str) -> list[Section]:
    """Return one section: what a day takes, and whether memory stays what it was for a quarter of it."""
    rows, rounds = _DAY[size], ROUNDS[size]
    section = Section(
        title="Logs: a day",
        about=(
            f"{rows:,} rows of one day, 0.4 % of them fatal, in one Parquet file with the three columns that "
            f"the rules name, and {rows // _SHARE_OF_CSV:,} with all 24 columns in one CSV file; and a "
            f"quarter of each; {THREADS} threads; {rounds} rounds; medians, without imports."
        ),
        header=("", "rows", "wall s", "CPU s", "peak RSS MB"),
    )
    for name, suffix, most in (("Parquet", ".parquet", rows), ("CSV", ".csv", rows // _SHARE_OF_CSV)):
        logs = [_log(part, suffix) for part in (most // _PART, most)]
        quarter, whole = (_measured(log, rounds) for log in logs)
        for log, used in zip(logs, (quarter, whole), strict=True):
            section.rows.append((name, f"{log.rows:,}", *_figures(used)))
        if most < rows:
            times = rows / most
            day = Used(wall_s=whole.wall_s * times, cpu_s=whole.cpu_s * times, rss_mb=whole.rss_mb)
            section.rows.append((f"{name}, extrapolated", f"{rows:,}", *_figures(day)))
        ratio = whole.rss_mb / quarter.rss_mb
        section.targets.append(Target(f"peak RSS of {_PART} {TIMES} the rows, {name}", ratio, 2))
    return [section]


def _log(rows: int, suffix: str) -> Log:
    is_parquet = suffix == ".parquet"
    return Log(name="", rows=rows, fatal=0.004, suffix=suffix, limits=(), needed_columns_only=is_parquet)


def _measured(log: Log, rounds: int) -> Used:
    path = made(log)
    with tempfile.TemporaryDirectory() as folder:
        return median_of([run_log("ours", "rules", path, Path(folder) / "answer") for _ in range(rounds)])


def _figures(used: Used) -> tuple[str, str, str]:
    return f"{used.wall_s:.1f}", f"{used.cpu_s:.1f}", f"{used.rss_mb:.0f}"
