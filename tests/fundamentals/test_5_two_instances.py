"""Lesson 5: several instances work on one database; a month belongs to one run at a time, by a lease."""

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.processes import service
from tests.support.site import AMER, SENDERS, Site, accepted_by, alerts_of, ask, open_runs, posting
from tests.support.waiting import wait_until


def test_the_same_month_asked_of_both_is_sent_once(site: Site, slack: RunningMock) -> None:
    """One run gets the lease and sends; the other waits for it, and then finds everything sent."""
    env = site.env()
    with service(site.folder, env) as one, service(site.folder, env) as other:
        with posting(one, site.source), posting(other, site.source):
            pass
        runs = ask(one, "/runs")["runs"]
        assert runs == ask(other, "/runs")["runs"]
        outcomes = [set(alerts_of(one, run["run_id"]).values()) for run in runs]
    assert [run["status"] for run in runs] == ["succeeded", "succeeded"]
    assert sorted(outcomes, key=sorted) == [{"sent"}, {"skipped_replay"}]
    assert set(accepted_by(slack).values()) == {1}


def test_the_other_instance_finishes_the_run_of_one_that_died(site: Site, slack: RunningMock) -> None:
    """Its heartbeat stops, its lease expires, and the survivor resumes the run where the outbox stands."""
    env = site.env()
    slack.script(AMER, Step(delay_s=0.1, times=site.count))
    with service(site.folder, env) as one, service(site.folder, env) as other:
        with posting(one, site.source):
            wait_until(lambda: slack.stats().total.accepted >= 10, what="some alerts have been sent")
            one.kill()
        wait_until(lambda: not open_runs(other), what="the run is finished")
        (run,) = ask(other, "/runs")["runs"]
    assert run["status"] == "succeeded"
    site.assert_sound(accepted_by(slack), doubts=SENDERS)
