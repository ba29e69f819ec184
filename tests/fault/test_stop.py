"""SIGTERM, and clients that go away: runs end properly, and answers arrive."""

import time

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.processes import service
from tests.support.site import AMER, PATIENT, Site, accepted_by, posting
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault


def test_a_service_asked_to_stop_answers_first(site: Site, slack: RunningMock) -> None:
    """On SIGTERM what is on its way is settled, the caller told, the lease released, and it exits with 0."""
    slack.script(AMER, Step(delay_s=0.2, times=1_000))
    with service(site.folder, site.env(**PATIENT)) as running, posting(running, site.source) as answers:
        wait_until(lambda: slack.stats().total.requests >= 6, what="some have left")
        asked = time.monotonic()
        running.terminate()
        assert running.exit_code() == 0
        took = time.monotonic() - asked
    assert took < 30
    (answer,) = answers
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"] == "interrupted"
    ((run_id, released),) = site.rows("SELECT run_id, expires_at = 0 FROM runs WHERE status = 'running'")
    assert (run_id, released) == (answer.json()["run_id"], 1)
    unsent = list(site.statuses().values()).count("pending")
    assert unsent == site.count - slack.stats().total.accepted > 0
    with service(site.folder, site.env(**PATIENT)):
        wait_until(lambda: site.runs() == [("succeeded", None)], what="the run is resumed and finished")
    site.assert_sound(accepted_by(slack), doubts=0)
    assert set(site.statuses().values()) == {"sent"}
