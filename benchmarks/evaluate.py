"""Evaluate: our fold against DuckDB, Polars and pandas on the same file, with the same answer."""

import importlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.data_shape import LAYOUTS, Shape
from benchmarks.measure import THREADS, Used, bound, made, median_of, preview, ratio, run_side
from benchmarks.report import TIMES, Section, Target
from benchmarks.side import SIDES

SHAPES: Final = {"small": Shape(accounts=50_000), "full": Shape(accounts=500_000)}
ROUNDS: Final = {"small": 2, "full": 5}
CLASSIC: Final = "duckdb, candidates first"
CLASSIC_RUN: Final = ("duckdb", "distinct")
"""What most would write, beside the fastest that was found."""
FIRST_ROUND_ONLY: Final = "pandas"
"""It takes ten times as long as all others, which leaves no doubt about its place."""
CPU_LIMITS: Final = {
    "by-month": {"duckdb": 0.9, "polars": 0.9},
    "shuffled": {"duckdb": 0.95, "polars": 0.9},
    "by-account": {"duckdb": 1.0, "polars": 0.9},
}
WALL_LIMITS: Final = {
    "by-month": {"pandas": 0.1, "floor": 3},
    "shuffled": {"pandas": 0.1, "floor": 4.5},
    "by-account": {"pandas": 0.1, "floor": 3},
}
RSS_LIMITS: Final = {"duckdb": 1.0, CLASSIC: 0.4}


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
    chosen: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder)
        for number in range(rounds):
            for (side, formulation), used in runs.items():
                if not number or _goes_on(side, formulation, chosen):
                    answer = answers / f"{side} {formulation}"
                    used.append(run_side(side, formulation, source, month=shape.month, answer=answer))
            whole.append(preview(source.as_uri(), month=shape.month))
            count = _same_answer(answers)
            chosen = chosen or _fastest(runs)
    return _section(shape, count, chosen, runs, whole)


def _fastest(runs: dict[tuple[str, str], list[Used]]) -> dict[str, str]:
    """Return each side's formulation that took the least CPU."""
    return {
        side: min((used[0].cpu_s, formulation) for (of, formulation), used in runs.items() if of == side)[1]
        for side in SIDES
    }


def _goes_on(side: str, formulation: str, chosen: dict[str, str]) -> bool:
    """Whether a formulation is run after the first round: each side's fastest, and what most would write."""
    return side != FIRST_ROUND_ONLY and (chosen[side] == formulation or (side, formulation) == CLASSIC_RUN)


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
    shape: Shape,
    count: int,
    chosen: dict[str, str],
    runs: dict[tuple[str, str], list[Used]],
    whole: list[Used],
) -> Section:
    medians = {contestant: median_of(used) for contestant, used in runs.items()}
    shown = {side: runs[side, formulation] for side, formulation in chosen.items()}
    shown[CLASSIC] = runs[CLASSIC_RUN]
    section = Section(
        title=f"Evaluate, {shape.layout}",
        about=(
            f"{shape.accounts:,} accounts {TIMES} {shape.months} months with 1 % gaps and 3 % duplicates "
            f"in one file, row groups of {shape.row_group_size:,} rows (PyArrow's default), in the page "
            f"cache; {THREADS} threads; {len(whole)} rounds, interleaved, each side in its own process; "
            f"medians. {FIRST_ROUND_ONLY}, and formulations slower than their side's fastest in the first "
            f"round, are run in that alone. All sides gave the same {count:,} alerts with the same "
            "attributes and durations, and the same number of duplicates. Wall and CPU are without the "
            "side's own imports, which stand beside them. Ratios are medians of each round's."
        ),
        header=("side", "wall s", "CPU s", "peak RSS MB", "import s", f"CPU, {TIMES} ours"),
    )
    for used, name in sorted(((median_of(used), name) for name, used in shown.items()), key=_cpu):
        label = "floor (decoding only)" if name == "floor" else name
        section.rows.append(
            (
                f"**{label}**" if name == "ours" else label,
                f"{used.wall_s:.2f}",
                f"{used.cpu_s:.2f}",
                f"{used.rss_mb:.0f}",
                f"{used.import_s:.2f}",
                f"{ratio('cpu_s', shown[name], shown['ours']):.2f}",
            )
        )
    process = median_of(whole)
    section.rows.append(
        (
            "`risk-alerts preview`, whole",
            f"{process.wall_s:.2f}",
            f"{process.cpu_s:.2f}",
            f"{process.rss_mb:.0f}",
            "in it",
            "",
        )
    )
    for side, formulation in chosen.items():
        tried = {name: used.cpu_s for (of, name), used in medians.items() if of == side}
        if len(tried) > 1:
            times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in tried.items())
            section.notes.append(f"{side}, CPU by formulation: {times}; the row above is {formulation}.")
    section.targets = [
        Target(f"{what} against {side}'s best", ratio(figure, shown["ours"], shown[side]), limit)
        for what, figure, limits in (("CPU", "cpu_s", CPU_LIMITS), ("wall", "wall_s", WALL_LIMITS))
        for side, limit in limits[shape.layout].items()
    ]
    section.targets += [
        Target(
            f"peak RSS of `risk-alerts preview` against that of {name}",
            ratio("rss_mb", whole, shown[name]),
            limit,
        )
        for name, limit in RSS_LIMITS.items()
    ]
    section.targets.append(bound(shape, whole))
    return section


def _cpu(shown: tuple[Used, str]) -> float:
    return shown[0].cpu_s
