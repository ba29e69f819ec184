"""Progress: what the heartbeat stores of it."""

from collections import Counter

import orjson

from service.domain.progress import Phase, Progress


def test_a_snapshot_is_plain_json_with_the_same_numbers() -> None:
    """The counters survive the way through JSON, the messages per channel included."""
    progress = Progress(phase=Phase.DELIVERING, alerts_queued=3, sent_by_channel=Counter({"emea": 2}))
    stored = orjson.loads(orjson.dumps(progress.snapshot()))
    assert stored["phase"] == "delivering"
    assert stored["alerts_queued"] == 3
    assert stored["sent_by_channel"] == {"emea": 2}
