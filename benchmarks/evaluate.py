"""Evaluate: our fold against DuckDB, Polars and pandas on the same file, with the same answer."""

import importlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.data_shape import LAYOUTS, Shape
from benchmarks.measure import THREADS, Used, made, median_of, preview, run_side
from benchmarks.report import TIMES, Section, Target
from benchmarks.side import SIDES

SHAPES: Final = {"small": Shape(accounts=50_000), "full": Shape(accounts=500_000)}
ROUNDS: Final = {"small": 2, "full": 5}
CLASSIC: Final = "duckdb, candidates first"
"""What most would write, beside the fastest that was found."""
WALL_LIMITS: Final = {
    ("duckdb", "by-month"): 0.5,
    ("duckdb", "by-account"): 0.5,
    ("duckdb", "shuffled"): 0.7,
    ("polars", "by-month"): 0.5,
    ("polars", "by-account"): 0.5,
    ("polars", "shuffled"): 0.5,
    ("pandas", "by-month"): 0.1,
    ("pandas", "by-account"): 0.1,
    ("pandas", "shuffled"): 0.1,
    ("floor", "by-month"): 3,
    ("floor", "by-account"): 3,
    ("floor", "shuffled"): 4.5,
}
RSS_LIMIT: Final = 0.4


class DifferentAnswerError(Exception):
    """Two sides do not agree, so their times mean nothing."""


def bench(size: str) -> list[Section]:
    """Return one section a layout."""
    return [_bench_layout(replace(SHAPES[size], layout=layout), ROUNDS[size]) for layout in LAYOUTS]


def _bench_layout(shape: Shape, rounds: int) -> Section:
    source = made(shape)
    count = 0
    runs: dict[tuple[str, str], list[Used]] = {
        (side, formulation): []
        for side in SIDES
        for formulation in importlib.import_module(f"benchmarks.side_{side}").FORMULATIONS
    }
    whole: list[Used] = []
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder)
        for _ in range(rounds):
            for (side, formulation), used in runs.items():
                answer = answers / f"{side} {formulation}"
                used.append(run_side(side, formulation, source, month=shape.month, answer=answer))
            whole.append(preview(source.as_uri(), month=shape.month))
            count = _same_answer(answers)
    medians = {contestant: median_of(used) for contestant, used in runs.items()}
    return _section(shape, rounds, count, medians, median_of(whole))


def _same_answer(answers: Path) -> int:
    """Return how many alerts all sides have; raises DifferentAnswerError with the first line that differs."""
    ours = (answers / "ours fold").read_text().splitlines()
    for path in sorted(answers.iterdir()):
        theirs = path.read_text().splitlines()
        for mine, other in zip(ours, theirs, strict=False):
            if mine != other:
                raise DifferentAnswerError(f"ours: {mine}\n{path.name}: {other}")
        if len(ours) != len(theirs):
            raise DifferentAnswerError(f"ours has {len(ours)} lines, {path.name} {len(theirs)}")
    return len(ours) - 1


def _section(
    shape: Shape, rounds: int, count: int, medians: dict[tuple[str, str], Used], whole: Used
) -> Section:
    chosen = {
        side: min((used.wall_s, formulation) for (of, formulation), used in medians.items() if of == side)[1]
        for side in SIDES
    }
    shown = {side: medians[side, formulation] for side, formulation in chosen.items()}
    shown[CLASSIC] = medians["duckdb", "distinct"]
    ours = shown["ours"]
    section = Section(
        title=f"Evaluate, {shape.layout}",
        about=(
            f"{shape.accounts:,} accounts {TIMES} {shape.months} months with 1 % gaps and 3 % duplicates "
            f"in one file, row groups of {shape.row_group_size:,} rows (PyArrow's default), in the page "
            f"cache; {THREADS} threads; {rounds} rounds, interleaved, each side in its own process; "
            f"medians. All sides gave the same {count:,} alerts with the same attributes and durations, "
            "and the same number of duplicates. Wall and CPU are without the side's own imports, which "
            "stand beside them."
        ),
        header=("side", "wall s", "CPU s", "peak RSS MB", "import s", f"wall, {TIMES} ours"),
    )
    for name, used in sorted(shown.items(), key=lambda item: item[1].wall_s):
        label = "floor (decoding only)" if name == "floor" else name
        section.rows.append(
            (
                f"**{label}**" if name == "ours" else label,
                f"{used.wall_s:.2f}",
                f"{used.cpu_s:.2f}",
                f"{used.rss_mb:.0f}",
                f"{used.import_s:.2f}",
                f"{used.wall_s / ours.wall_s:.2f}",
            )
        )
    section.rows.append(
        (
            "`risk-alerts preview`, whole",
            f"{whole.wall_s:.2f}",
            f"{whole.cpu_s:.2f}",
            f"{whole.rss_mb:.0f}",
            "in it",
            "",
        )
    )
    for side, formulation in chosen.items():
        tried = {name: used.wall_s for (of, name), used in medians.items() if of == side}
        if len(tried) > 1:
            times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in tried.items())
            section.notes.append(f"{side}, formulations: {times}; the row above is {formulation}.")
    section.targets = [
        Target(f"wall against {side}'s", ours.wall_s / shown[side].wall_s, limit)
        for (side, layout), limit in WALL_LIMITS.items()
        if layout == shape.layout
    ]
    section.targets += [
        Target(
            f"peak RSS of `risk-alerts preview` against that of {name}",
            whole.rss_mb / shown[name].rss_mb,
            RSS_LIMIT,
        )
        for name in ("duckdb", CLASSIC)
    ]
    return section
