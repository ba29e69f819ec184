"""The time left: an estimate from what was seen, or none."""

from dataclasses import dataclass
from typing import Final

from service.api.schemas.run import ProgressOut
from service.domain.progress import Phase, Progress

_SECONDS_TO_GO_BY: Final = 0.5
"""A shorter stretch of a phase says nothing about its speed."""

_MOST_RUNS_WATCHED: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    at: float
    phase: Phase
    done: int


class TimeLeft:
    """Watches runs and estimates how long the present phase of each will take.

    The speed is that of the phase since it was first looked at, pauses that Slack asked for included.
    """

    def __init__(self) -> None:
        self._first: dict[str, _Seen] = {}

    def seconds(self, run_id: str, progress: Progress | ProgressOut, *, now: float) -> float | None:
        """Return the seconds left in the run's phase, or None while there is nothing to go by.

        `now` is in seconds of a monotonic clock.
        """
        done, total = work(progress)
        first = self._first.get(run_id)
        if first is None or first.phase is not progress.phase:
            self._first.pop(run_id, None)
            if len(self._first) >= _MOST_RUNS_WATCHED:
                del self._first[next(iter(self._first))]
            self._first[run_id] = _Seen(at=now, phase=progress.phase, done=done)
            return None
        if done <= first.done or total < done or now - first.at < _SECONDS_TO_GO_BY:
            return None
        return round((total - done) * (now - first.at) / (done - first.done), 1)


def work(progress: Progress | ProgressOut) -> tuple[int, int]:
    """Return what is done and what there is to do in the present phase; (0, 0) where it cannot be counted."""
    return work_in(progress.phase, progress)


def work_in(phase: Phase, progress: Progress | ProgressOut) -> tuple[int, int]:
    """Return what is done and what there is to do in a phase; (0, 0) where it cannot be counted."""
    if phase is Phase.SCANNING:
        return progress.rows_done, progress.rows_total
    if phase is Phase.DELIVERING:
        return progress.alerts_settled, progress.alerts_queued
    return 0, 0
