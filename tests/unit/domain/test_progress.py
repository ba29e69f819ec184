"""Progress: what the heartbeat stores of it."""

from collections import Counter

import orjson

from service.domain.progress import Phase, Progress


def test_a_snapshot_is_plain_json_with_the_same_numbers() -> None:
    """The counters survive the way through JSON, the messages per channel included."""
    progress = Progress(
        phase=Phase.DELIVERING, alerts_queued=3, sent_by_channel=Counter({"emea": 2}), paused_until=7.5
    )
    stored = orjson.loads(orjson.dumps(progress.snapshot()))
    assert stored["phase"] == "delivering"
    assert stored["alerts_queued"] == 3
    assert stored["sent_by_channel"] == {"emea": 2}
    assert Progress.of(stored) == progress


def test_the_heartbeat_of_another_version_is_read_as_far_as_it_goes() -> None:
    """What it counts besides is passed over, and what it does not count is nothing."""
    assert Progress.of({"phase": "scanning", "rows_done": 5, "rows_skipped": 2}) == Progress(
        phase=Phase.SCANNING, rows_done=5
    )


def test_pauses_at_the_same_time_count_once() -> None:
    """From 10 to 40 and from 30 to 50 lanes pause for 40 seconds; one within another adds nothing."""
    progress = Progress()
    for now, seconds in [(10.0, 30.0), (20.0, 5.0), (30.0, 20.0)]:
        progress.pause(now, seconds)
    assert (progress.paused_s, progress.paused_until) == (40.0, 50.0)
    assert [progress.pause_left_s(now) for now in (30.0, 45.0, 60.0)] == [20.0, 5.0, 0.0]
