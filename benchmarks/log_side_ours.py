"""Our side: the evaluation of a log, as `risk-alerts rules backtest` runs it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.log_side import Found, Work
from benchmarks.without_pandas import hide_pandas

counting_s = 0.0
"""CPU of the counting alone."""


def load(formulation: str, threads: int) -> Work:
    """Import the flow; there is one formulation."""
    del formulation
    hide_pandas()
    import asyncio  # noqa: PLC0415 - importing is what is timed

    from service.domain.progress import Progress  # noqa: PLC0415
    from service.domain.source_uri import SourceUri  # noqa: PLC0415
    from service.log_rules.evaluate import evaluate_log  # noqa: PLC0415
    from service.log_rules.findings import Before, LogOptions, LogQuestion  # noqa: PLC0415
    from service.log_rules.memory import Memory  # noqa: PLC0415
    from service.log_rules.rule import Matched, Period  # noqa: PLC0415
    from service.log_rules.rules_file import load_rules  # noqa: PLC0415
    from service.log_rules.threshold import ThresholdRule  # noqa: PLC0415
    from service.runtime.garbage import loaded  # noqa: PLC0415
    from service.sources.opening import open_source  # noqa: PLC0415
    from service.sources.source import StorageAccess  # noqa: PLC0415

    class Timed(ThresholdRule):
        def feed(self, matched: Matched) -> None:
            with _timed():
                super().feed(matched)

        def settle(self, until_us: int) -> None:
            with _timed():
                super().settle(until_us)

    rules = load_rules(Path(__file__).parent.parent / "log_rules.toml")
    loaded()

    def work(path: Path) -> Sequence[Found]:
        before = Before(memories={rule.id: Memory() for rule in rules.rules})
        question = LogQuestion(rules=rules, period=Period(), before=before, make=Timed)
        with open_source(SourceUri.parse(path.resolve().as_uri()), StorageAccess()) as source:
            options = LogOptions(threads=threads)
            found = asyncio.run(evaluate_log(source, question, options=options, progress=Progress()))
        return [
            (number, "".join(one.group), one.start, one.last, one.peak)
            for number, rule in enumerate(found.rules)
            for one in rule.episodes
        ]

    return work


@contextmanager
def _timed() -> Iterator[None]:
    global counting_s  # noqa: PLW0603 - what runs the side asks the module
    started = time.thread_time()
    yield
    counting_s += time.thread_time() - started
