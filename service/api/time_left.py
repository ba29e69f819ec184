"""The time left: an estimate from what was seen, or none."""

from dataclasses import dataclass
from typing import Final

from service.domain.progress import Phase, Progress

_SECONDS_TO_GO_BY: Final = 0.5
"""A shorter stretch of a phase says nothing about its speed."""

_MOST_RUNS_WATCHED: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    phase: Phase
    at: float
    """Without the time in which a lane paused."""
    done: int
    """Without what the other lanes did meanwhile."""


class TimeLeft:
    """Watches runs and estimates how long the present phase of each will take.

    The speed is that of the phase since it was first looked at, while no lane paused; what is left of a pause
    comes on top. So the estimate grows once, when a lane begins to pause, and falls from then on.
    """

    def __init__(self) -> None:
        self._first: dict[str, _Seen] = {}

    def seconds(self, run_id: str, progress: Progress, *, now: float) -> float | None:
        """Return the seconds left in the run's phase, or None while there is nothing to go by.

        `now` is in seconds since 1970 UTC.
        """
        done, total = work(progress)
        seen = _seen(progress, done, now)
        first = self._first.get(run_id)
        if first is None or first.phase is not progress.phase:
            self._first.pop(run_id, None)
            if len(self._first) >= _MOST_RUNS_WATCHED:
                del self._first[next(iter(self._first))]
            self._first[run_id] = seen
            return None
        if seen.done <= first.done or total < done or seen.at - first.at < _SECONDS_TO_GO_BY:
            return None
        if done == total:
            return 0.0
        moving_s = (total - done) * (seen.at - first.at) / (seen.done - first.done)
        return round(moving_s + progress.pause_left_s(now), 1)


def _seen(progress: Progress, done: int, now: float) -> _Seen:
    if progress.phase is not Phase.DELIVERING:
        return _Seen(phase=progress.phase, at=now, done=done)
    paused_s = progress.paused_s - progress.pause_left_s(now)
    return _Seen(phase=progress.phase, at=now - paused_s, done=done - progress.settled_in_pauses)


def work(progress: Progress) -> tuple[int, int]:
    """Return what is done and what there is to do in the present phase; (0, 0) where it cannot be counted."""
    return work_in(progress.phase, progress)


def work_in(phase: Phase, progress: Progress) -> tuple[int, int]:
    """Return what is done and what there is to do in a phase; (0, 0) where it cannot be counted."""
    if phase is Phase.SCANNING:
        return progress.rows_done, progress.rows_total
    if phase is Phase.DELIVERING:
        return progress.alerts_settled, progress.alerts_queued
    return 0, 0
