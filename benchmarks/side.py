"""One side of a comparison, in a process of its own: load, answer, report.

A side is a module with `FORMULATIONS` (their names, nothing imported yet) and `load(formulation)`, which
imports what the side needs and returns a function from a question to an answer. The clock of its work starts
after `load`, which is timed by itself, and stops when the answer is there in the side's own form; turning it
into rows that can be compared comes after.
"""

import argparse
import importlib
import json
import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

SIDES: Final = ("ours", "duckdb", "polars", "pandas", "floor")

AlertRow: TypeAlias = tuple[
    str, str, str | None, int, bool, str, int | None, str | None, str | None
]  # id, name, region, months, whether at least so many, first month, ARR, renewal date, owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What every side is asked."""

    source: Path
    month: date
    threshold: int = 10_000
    history_months: int = 120
    threads: int = 2

    @property
    def first_month(self) -> date:
        """The edge of history."""
        index = self.month.year * 12 + self.month.month - 1 - (self.history_months - 1)
        return date(index // 12, index % 12 + 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What every side must answer, to be compared row for row."""

    alerts: list[AlertRow]
    duplicates: int


Work: TypeAlias = Callable[[Question], Callable[[], Answer | None]]
"""Answers in the side's own form; what it returns turns that into rows, and gives None for the floor."""


def streak(mask: int) -> int:
    """Return how many bits of `mask` are set from the lowest on: the months At Risk, walking back."""
    return (~mask & (mask + 1)).bit_length() - 1


def alert_row(question: Question, attributes: Iterable[Any], months: int) -> AlertRow:
    """Return a row from (id, name, region, arr, renewal date, owner) and the streak."""
    account_id, name, region, arr, renewal, owner = attributes
    index = question.month.year * 12 + question.month.month - 1 - (months - 1)
    return (
        account_id,
        account_id if name is None else name,
        region,
        months,
        months == question.history_months,
        f"{index // 12:04d}-{index % 12 + 1:02d}-01",
        arr,
        None if renewal is None else str(renewal)[:10],
        owner,
    )


def in_order(alerts: Iterable[AlertRow]) -> list[AlertRow]:
    """Return the alerts as they are sent: by ARR descending, null last, then id."""
    return sorted(alerts, key=lambda row: (row[6] is None, -(row[6] or 0), row[0]))


def main() -> None:
    """Run one side once, print its figures as JSON, and write its answer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side")
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("source", type=Path)
    parser.add_argument("--month", type=date.fromisoformat, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--formulation", required=True)
    parser.add_argument("--answer", type=Path, required=True)
    arguments = parser.parse_args()
    question = Question(source=arguments.source, month=arguments.month, threads=arguments.threads)

    started = time.perf_counter()
    work: Work = importlib.import_module(f"benchmarks.side_{arguments.side}").load(arguments.formulation)
    loaded, cpu_before = time.perf_counter(), _cpu_seconds()
    take_answer = work(question)
    done, cpu_after, peak = time.perf_counter(), _cpu_seconds(), _peak_rss_mb()
    answer = take_answer()
    if answer is not None:
        lines = [json.dumps(row, ensure_ascii=False) for row in answer.alerts]
        arguments.answer.write_text("\n".join([f"duplicates {answer.duplicates}", *lines, ""]))
    figures = {
        "import_s": loaded - started,
        "wall_s": done - loaded,
        "cpu_s": cpu_after - cpu_before,
        "rss_mb": peak,
    }
    print(json.dumps(figures))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_rss_mb() -> float:
    """Return the peak of this process alone: `ru_maxrss` would begin with its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


if __name__ == "__main__":
    main()
