"""Logs: our counting against DuckDB, Polars and pandas on the same log, with the same episodes."""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.data_shape import cache_directory
from benchmarks.log_side import SIDES
from benchmarks.measure import THREADS, Used, median_of, run
from benchmarks.report import TIMES, Section, Target

PEERS: Final = ("duckdb", "polars", "pandas")
ROUNDS: Final = {"small": 2, "full": 5}
_DENSE: Final = 0.5
_TEXT: Final = "CSV with every text in quotes"
_PLAIN: Final = "CSV as pandas writes it, with quotes only where they are needed"
_TYPED: Final = "Parquet (zstd, row groups of 200,000) with timestamps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A made-up log, and what is promised of it: CPU against the floor, one peer, or the best of them."""

    name: str
    rows: int
    fatal: float
    suffix: str
    limits: tuple[tuple[str, float], ...]
    rss_limit: float | None = None
    """Against Polars's."""
    exercise: bool = False
    needed_columns_only: bool = False
    as_pandas: bool = False

    @property
    def path(self) -> Path:
        """Where it is kept."""
        of = ("-needed" if self.needed_columns_only else "") + ("-as-pandas" if self.as_pandas else "")
        return cache_directory() / f"log-{self.rows}-{self.fatal}{of}{self.suffix}"

    @property
    def form(self) -> str:
        """Its form, in words."""
        return _TYPED if self.suffix == ".parquet" else _PLAIN if self.as_pandas else _TEXT


def _logs(size: str) -> list[Log]:
    full = size == "full"
    rows = 5_000_000 if full else 200_000
    return [
        Log(
            name="CSV, sparse",
            rows=rows,
            fatal=0.004,
            suffix=".csv",
            limits=(("floor", 1.3), ("duckdb", 1.15), ("polars", 2.1)),
            rss_limit=0.55,
        ),
        Log(
            name="CSV, dense",
            rows=rows,
            fatal=0.83,
            suffix=".csv",
            limits=(("floor", 2), ("best peer", 0.35)),
            rss_limit=0.55,
        ),
        Log(name="Parquet, dense", rows=rows, fatal=0.83, suffix=".parquet", limits=(("best peer", 0.35),)),
        Log(
            name="Parquet, sparse",
            rows=20_000_000 if full else 1_000_000,
            fatal=0.004,
            suffix=".parquet",
            limits=(("floor", 2), ("duckdb", 2.4)),
        ),
        *(
            Log(
                name=f"CSV, the size of the exercise{kind}",
                rows=1_500_000 if full else 100_000,
                fatal=0.83,
                suffix=".csv",
                limits=(("exercise", 0.1),),
                exercise=True,
                as_pandas=not kind,
            )
            for kind in ("", ", every text in quotes")
        ),
    ]


def bench(size: str) -> list[Section]:
    """Return one section a log."""
    return [_bench_log(log, ROUNDS[size]) for log in _logs(size)]


def _bench_log(log: Log, rounds: int) -> Section:
    made(log)
    contestants = [
        (side, formulation)
        for side, formulations in SIDES.items()
        for formulation in formulations
        if (side == "exercise") == log.exercise or side == "ours"
    ]
    runs: dict[tuple[str, str], list[Used]] = {contestant: [] for contestant in contestants}
    episodes = 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for (side, formulation), used in runs.items():
                answer = Path(folder) / f"{side} {formulation}"
                used.append(run_log(side, formulation, log.path, answer))
            episodes = _same_answer(Path(folder))
    medians = {contestant: median_of(used) for contestant, used in runs.items()}
    best = {
        side: min((used for (of, _), used in medians.items() if of == side), key=lambda used: used.cpu_s)
        for side, _ in contestants
    }
    return _section(log, rounds, episodes, medians, best)


def _section(
    log: Log, rounds: int, episodes: int, medians: dict[tuple[str, str], Used], best: dict[str, Used]
) -> Section:
    ours = best["ours"]
    section = Section(
        title=f"Logs: {log.name}",
        about=(
            f"{log.rows:,} rows of 24 columns, {log.fatal:.1%} of them fatal, as "
            f"{log.form}, in the page cache; the two rules that ship; "
            f"{THREADS} threads; {rounds} rounds, interleaved, each side in its own process; medians, "
            f"without imports. All that answer found the same {episodes:,} episodes. The floor decodes the "
            "three columns and does nothing with them."
        ),
        header=("side", "wall s", "CPU s", "peak RSS MB", f"CPU, {TIMES} ours"),
    )
    for (side, formulation), used in sorted(medians.items(), key=lambda item: item[1].cpu_s):
        name = side if len(SIDES[side]) == 1 else f"{side}, {formulation}"
        figures = (f"{used.wall_s:.2f}", f"{used.cpu_s:.2f}", f"{used.rss_mb:.0f}")
        section.rows.append(
            (f"**{name}**" if side == "ours" else name, *figures, f"{used.cpu_s / ours.cpu_s:.2f}")
        )
    for against, limit in log.limits:
        theirs = min(best[peer].cpu_s for peer in PEERS) if against == "best peer" else best[against].cpu_s
        section.targets.append(Target(f"CPU against {against}", ours.cpu_s / theirs, limit))
        if against == "exercise":
            rss = ours.rss_mb / best[against].rss_mb
            section.targets.append(Target(f"peak RSS against {against}", rss, limit))
    if log.fatal > _DENSE:
        each = ours.counting_s / (log.rows * log.fatal) * 1e6
        section.targets.append(Target("the counting of a matched row, two rules", each, 0.4, unit="µs"))
    if log.rss_limit is not None:
        rss = ours.rss_mb / best["polars"].rss_mb
        section.targets.append(Target("peak RSS against polars", rss, log.rss_limit))
    return section


def made(log: Log) -> Path:
    """Return the file of a log, made by a child when there is none yet, and in the page cache."""
    more = ["--needed-columns-only"] if log.needed_columns_only else []
    more += ["--as-pandas"] if log.as_pandas else []
    command = [sys.executable, "-m", "benchmarks.make_log", str(log.path), *more]
    run([*command, "--rows", str(log.rows), "--fatal", str(log.fatal)])
    with log.path.open("rb") as file:
        while file.read(1 << 24):
            pass
    return log.path


def run_log(side: str, formulation: str, path: Path, answer: Path) -> Used:
    """Run one side of the comparison once."""
    command = [sys.executable, "-m", "benchmarks.log_side", side, str(path)]
    command += ["--formulation", formulation, "--answer", str(answer)]
    return Used(**json.loads(run(command).output))


def _same_answer(folder: Path) -> int:
    """Return how many episodes all sides found; raises DifferentAnswerError where they differ."""
    answers = {path.name: path.read_text().splitlines() for path in sorted(folder.iterdir())}
    ours = answers["ours rules"]
    for name, theirs in answers.items():
        if name.split()[0] in PEERS and theirs != ours:
            different = sorted(set(theirs) ^ set(ours))[:3]
            raise DifferentAnswerError(f"{name} and ours differ: {different}")
    return len(ours)


class DifferentAnswerError(Exception):
    """Two sides do not agree, so their times mean nothing."""
