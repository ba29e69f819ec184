"""The time left: what was seen, or nothing."""

import pytest

from service.api.time_left import TimeLeft
from service.domain.progress import Phase, Progress


def _delivering(settled: int, *, queued: int = 100, meanwhile: int = 0) -> Progress:
    return Progress(
        phase=Phase.DELIVERING, alerts_queued=queued, alerts_settled=settled, settled_in_pauses=meanwhile
    )


def _paused(settled: int, *, meanwhile: int = 0) -> Progress:
    """Return a delivery of which a lane was asked at second 5 to pause for a minute."""
    progress = _delivering(settled, meanwhile=meanwhile)
    progress.pause(5, 60)
    return progress


SCANNING = [Progress(phase=Phase.SCANNING, rows_total=1000, rows_done=done) for done in (0, 500)]
WAITING = Progress(phase=Phase.WAITING)


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([(10, _delivering(50), None)], id="one look has no speed"),
        pytest.param([(0, _delivering(10), None), (10, _delivering(30), 35)], id="twenty in ten seconds"),
        pytest.param([(0, _delivering(0), None), (60, _delivering(0), None)], id="paused from the start"),
        pytest.param(
            [
                *[(0, _delivering(0), None), (5, _delivering(50), 5), (5, _paused(50), 65)],
                *[(20, _paused(50), 50), (65, _paused(50), 5), (66, _paused(60), 4)],
            ],
            id="a pause comes on top, once, and then runs out",
        ),
        pytest.param(
            [
                *[(0, _delivering(0), None), (5, _paused(50), 65), (20, _paused(70, meanwhile=20), 48)],
                *[(65, _paused(80, meanwhile=30), 2), (67, _paused(100, meanwhile=30), 0)],
            ],
            id="what other lanes do in a pause makes nobody faster",
        ),
        pytest.param(
            [(0, _delivering(0), None), (5, _delivering(50), 5), (20, _delivering(50), 20)],
            id="silence that nobody asked for counts",
        ),
        pytest.param(
            [(0, SCANNING[0], None), (1, SCANNING[1], 1), (1, _delivering(0), None), (2, _delivering(1), 99)],
            id="each phase has its own speed",
        ),
        pytest.param([(0, _delivering(0), None), (4, _delivering(100), 0)], id="the end is zero"),
        pytest.param([(0, WAITING, None), (100, WAITING, None)], id="a phase without numbers"),
    ],
)
def test_the_time_left_is_what_was_seen(looks: list[tuple[float, Progress, float | None]]) -> None:
    """Each look at a run, at its second, has the estimate that stands beside it."""
    watch = TimeLeft()
    for now, progress, expected in looks:
        assert watch.seconds("r", progress, now=now) == expected


def test_runs_do_not_mix() -> None:
    """Each run is watched by itself."""
    watch = TimeLeft()
    watch.seconds("r1", _delivering(0), now=0.0)
    assert watch.seconds("r2", _delivering(90), now=10.0) is None


def test_old_runs_are_forgotten() -> None:
    """A service that runs for years does not remember every run."""
    watch = TimeLeft()
    for number in range(1000):
        watch.seconds(str(number), _delivering(0), now=0.0)
    assert watch.seconds("999", _delivering(50), now=5.0) == 5.0
    assert watch.seconds("0", _delivering(50), now=5.0) is None
