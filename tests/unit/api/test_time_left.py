"""The time left: what was seen, or nothing."""

from service.api.time_left import TimeLeft
from service.domain.progress import Phase, Progress


def _delivering(settled: int, *, queued: int = 100) -> Progress:
    return Progress(phase=Phase.DELIVERING, alerts_queued=queued, alerts_settled=settled)


def test_nothing_is_said_at_first() -> None:
    """One look has no speed."""
    assert TimeLeft().seconds("r", _delivering(50), now=10.0) is None


def test_the_speed_is_what_was_seen() -> None:
    """Twenty in ten seconds: seventy more need thirty-five."""
    watch = TimeLeft()
    watch.seconds("r", _delivering(10), now=0.0)
    assert watch.seconds("r", _delivering(30), now=10.0) == 35.0


def test_nothing_is_said_while_nothing_moves() -> None:
    """A lane that is paused from the start gives nothing to go by."""
    watch = TimeLeft()
    watch.seconds("r", _delivering(0), now=0.0)
    assert watch.seconds("r", _delivering(0), now=60.0) is None


def test_a_pause_counts() -> None:
    """An estimate that forgot the pauses would be a promise that nobody keeps."""
    watch = TimeLeft()
    watch.seconds("r", _delivering(0), now=0.0)
    assert watch.seconds("r", _delivering(50), now=5.0) == 5.0
    assert watch.seconds("r", _delivering(50), now=20.0) == 20.0


def test_each_phase_has_its_own_speed() -> None:
    """Rows a second say nothing about messages a second."""
    watch = TimeLeft()
    scanning = Progress(phase=Phase.SCANNING, rows_total=1000)
    watch.seconds("r", scanning, now=0.0)
    scanning.rows_done = 500
    assert watch.seconds("r", scanning, now=1.0) == 1.0
    assert watch.seconds("r", _delivering(0), now=1.0) is None
    assert watch.seconds("r", _delivering(1), now=2.0) == 99.0


def test_runs_do_not_mix() -> None:
    """Each run is watched by itself."""
    watch = TimeLeft()
    watch.seconds("r1", _delivering(0), now=0.0)
    assert watch.seconds("r2", _delivering(90), now=10.0) is None


def test_the_end_is_zero() -> None:
    """When all is settled nothing is left."""
    watch = TimeLeft()
    watch.seconds("r", _delivering(0), now=0.0)
    assert watch.seconds("r", _delivering(100), now=4.0) == 0.0


def test_a_phase_without_numbers_has_no_estimate() -> None:
    """Nobody knows how long another run will take."""
    watch = TimeLeft()
    waiting = Progress(phase=Phase.WAITING)
    watch.seconds("r", waiting, now=0.0)
    assert watch.seconds("r", waiting, now=100.0) is None


def test_old_runs_are_forgotten() -> None:
    """A service that runs for years does not remember every run."""
    watch = TimeLeft()
    for number in range(1000):
        watch.seconds(str(number), _delivering(0), now=0.0)
    assert watch.seconds("999", _delivering(50), now=5.0) == 5.0
    assert watch.seconds("0", _delivering(50), now=5.0) is None
