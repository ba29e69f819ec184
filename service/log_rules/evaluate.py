"""The evaluation of a log: its parts are read side by side, and counted in their order.

Rows are counted as they come, as long as none is older than what was settled. From the first that is, all is
read once more, and the matched rows are collected and counted at the end: the same answer, for more memory.
"""

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Final

from service.domain.errors import (
    InterruptedRunError,
    PeriodNotInSourceError,
)
from service.domain.progress import Phase, Progress
from service.log_rules.findings import LogFindings, LogOptions, LogQuestion
from service.log_rules.memory import DisorderedError
from service.log_rules.reading.log_files import LogFiles, Part, Task
from service.log_rules.reading.matching import Matcher
from service.log_rules.rule import Period, Rule, instant_of
from service.log_rules.tally import Tally
from service.runtime.daemon_thread import in_daemon_thread, run_until_stopped
from service.runtime.room import Room, Turn
from service.sources.allocation import keep_freed
from service.sources.source import Source

_ARRAYS: Final = 31 << 20
"""Bytes: a step of counting has some ten arrays of 4 MB and more at once, and takes a third less CPU so."""


async def evaluate_log(
    source: Source,
    question: LogQuestion,
    *,
    options: LogOptions,
    progress: Progress,
    turn: Turn | None = None,
) -> LogFindings:
    """Find the episodes of a period and what became of every row, in daemon threads, when it is its `turn`.

    When cancelled it returns after its threads have ended: they see it before their next part. Raises
    SourceError.
    """
    stop = threading.Event()
    evaluation = _Evaluation(source, question, options, progress, stop)
    return await run_until_stopped(stop, source.close, evaluation.execute, turn or Turn(Room()))


class _Evaluation:
    def __init__(
        self,
        source: Source,
        question: LogQuestion,
        options: LogOptions,
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self._files = LogFiles(source, question.rules.source, stop)
        self._question = question
        self._options = options
        self._progress = progress
        self._stop = stop

    def execute(self, turn: Turn) -> LogFindings:
        keep_freed(_ARRAYS)
        with self._files.pinned():
            self._progress.phase = Phase.PLANNING
            self._files.list()
            self._progress.phase = Phase.WAITING
            with turn.taken(self._stop):
                self._progress.phase = Phase.SCANNING
                # Once that has returned, nothing of the first reading is held any more.
                return self._count_in_order() or self._count(collect=True)

    def _count_in_order(self) -> LogFindings | None:
        """Count rows as they come; returns None where they come in too much disorder for that."""
        try:
            return self._count(collect=False)
        except DisorderedError:
            return None

    def _count(self, *, collect: bool) -> LogFindings:
        question = self._question
        self._progress.rows_done = 0
        matcher = Matcher(question.rules.source, question.rules.rules, question.period)
        counting = Tally(question, self._options, collect=collect)
        with self._read(matcher) as parts:
            for part in parts:
                counting.take(part)
                self._progress.rows_done += part.rows
        if counting.span is None:
            self._check_period()
        return counting.findings(self._files.files)

    @contextmanager
    def _read(self, matcher: Matcher) -> Iterator[Iterator[Part]]:
        """Read the parts; whatever ends the block, threads have ended and files are closed after it."""
        with closing(self._files.parts(matcher)) as tasks, closing(self._ahead(tasks)) as parts:
            yield parts

    def _ahead(self, tasks: Iterator[Task]) -> Generator[Part]:
        """Yield the parts in their order; as many as there are threads are read ahead.

        Each thread takes its next task itself: a block of CSV is read by the processor that parses it.
        """
        threads = self._options.threads
        taking, has_ended = threading.Lock(), threading.Event()
        free = threading.Semaphore(threads)
        taken: SimpleQueue[Future[Part | None]] = SimpleQueue()

        def work() -> None:
            while free.acquire() and not has_ended.is_set():
                part: Future[Part | None] = Future()
                try:
                    with taking:
                        taken.put(part)
                        task = None if has_ended.is_set() else next(tasks, None)
                    part.set_result(None if task is None else task())
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever counts, not to this thread
                    part.set_exception(error)

        workers: list[Future[None]] = []
        try:
            workers.extend(in_daemon_thread(work) for _ in range(threads))
            while (part := taken.get().result()) is not None:
                yield part
                free.release()
                if self._stop.is_set():
                    raise InterruptedRunError("the evaluation was stopped")
        finally:
            has_ended.set()
            free.release(threads)
            # Their files are to be closed after they have ended.
            for worker in workers:
                worker.exception()

    def _check_period(self) -> None:
        """Raise PeriodNotInSourceError unless any row, matched or not, is of the period."""
        question = self._question
        every = Rule(id="", title="", where=(), group_by=(), more_than=0, window_us=1, quiet_us=1)
        matcher = Matcher(question.rules.source, (every,), Period())
        first = last = None
        rows = malformed = 0
        with self._read(matcher) as parts:
            for part in parts:
                rows, malformed = rows + part.rows, malformed + part.malformed
                for (found,) in part.matches:
                    times = found.matched.times
                    if not times.size:
                        continue
                    if ((times >= question.period.since_us) & (times < question.period.until_us)).any():
                        return
                    first = min(int(times.min()), int(times.min()) if first is None else first)
                    last = max(int(times.max()), int(times.max()) if last is None else last)
        if first is None or last is None:
            if not rows + malformed:
                raise PeriodNotInSourceError("the source has no rows")
            what = f"{malformed:,} malformed and {rows:,} without a usable time"
            raise PeriodNotInSourceError(
                f"none of the {rows + malformed:,} rows of the source can be used: {what}"
            )
        begins = instant_of(question.period.since_us).isoformat()
        raise PeriodNotInSourceError(
            f"no row of the period that begins at {begins}: the source has rows from "
            f"{instant_of(first).isoformat()} to {instant_of(last).isoformat()}"
        )
