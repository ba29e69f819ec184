"""Scale: rows in many small row groups or files, and many accounts."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.data_shape import Shape
from benchmarks.measure import Used, bound, made, median_of, preview, ratio, run_side
from benchmarks.report import TIMES, Section, Target

GROUPS: Final = {
    "small": Shape(accounts=20_000, row_group_size=1_000_000),
    "full": Shape(accounts=548_300, row_group_size=1_000_000),
}
"""20 M rows at full size."""
LARGE: Final = "row groups of 1 M"
SMALL: Final = "row groups of 10 k"
FILES: Final = {"small": 74, "full": 2_016}
ACCOUNTS: Final = {"small": Shape(accounts=12_500), "full": Shape(accounts=500_000)}
ROUNDS: Final = {"small": 2, "full": 5}


def bench(size: str) -> list[Section]:
    """Return both sections."""
    return [_row_groups(size), _accounts(size)]


def _row_groups(size: str) -> Section:
    shape = GROUPS[size]
    small = replace(shape, row_group_size=10_000)
    shapes = {
        LARGE: shape,
        SMALL: small,
        f"{FILES[size]:,} files": replace(small, files=FILES[size]),
    }
    runs = _measured(shapes, ROUNDS[size])
    section = Section(
        title="Row groups",
        about=(
            f"The same rows by month, {shape.accounts:,} accounts {TIMES} {shape.months} months: in a file "
            "of large row groups, of small ones, and in as many files; only the evaluation, without imports. "
            f"{ROUNDS[size]} rounds, interleaved; medians, and medians of each round's ratios."
        ),
        header=("rows in", "wall s", "CPU s", "peak RSS MB", f"CPU, {TIMES}"),
        rows=[(*_row(name, used), f"{ratio('cpu_s', used, runs[LARGE]):.2f}") for name, used in runs.items()],
    )
    section.targets = [
        Target(f"CPU per row, {SMALL} against 1 M", ratio("cpu_s", runs[SMALL], runs[LARGE]), 2)
    ]
    return section


def _accounts(size: str) -> Section:
    rounds = ROUNDS[size]
    section = Section(
        title="Accounts",
        about=(
            "Four times the accounts, by month and shuffled: only the evaluation, without imports; the "
            f"bound is held against `risk-alerts preview`, whole. {rounds} rounds, interleaved; medians, and "
            "medians of each round's ratios."
        ),
        header=("accounts", "wall s", "CPU s", "peak RSS MB"),
    )
    for layout in ("by-month", "shuffled"):
        few = replace(ACCOUNTS[size], layout=layout)
        many = replace(few, accounts=4 * few.accounts)
        shapes = {f"{shape.accounts:,} {TIMES} {shape.months}, {layout}": shape for shape in (few, many)}
        runs = _measured(shapes, rounds)
        section.rows += [_row(name, used) for name, used in runs.items()]
        fewer, more = runs.values()
        cpu = ratio("cpu_s", more, fewer)
        whole = [preview(made(many).as_uri(), month=many.month) for _ in range(rounds)]
        section.targets += [Target(f"CPU of four times the accounts, {layout}", cpu, 4.2), bound(many, whole)]
    return section


def _row(name: str, runs: list[Used]) -> tuple[str, ...]:
    used = median_of(runs)
    return name, f"{used.wall_s:.2f}", f"{used.cpu_s:.2f}", f"{used.rss_mb:.0f}"


def _measured(shapes: Mapping[str, Shape], rounds: int) -> dict[str, list[Used]]:
    """Evaluate each, interleaved; raises RuntimeError where the same rows give another answer."""
    runs: dict[str, list[Used]] = {name: [] for name in shapes}
    answers: dict[tuple[int, int], str] = {}
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        for _ in range(rounds):
            for name, shape in shapes.items():
                runs[name].append(run_side("ours", "fold", made(shape), month=shape.month, answer=answer))
                text = answer.read_text()
                if answers.setdefault((shape.accounts, shape.months), text) != text:
                    raise RuntimeError(f"another answer for {name}")
    return runs
