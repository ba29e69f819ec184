"""SIGKILL: a run that dies at any moment loses nothing, and its alerts are not sent twice."""

import random
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.processes import Running, run_command, service
from tests.support.site import AMER, PATIENT, SENDERS, Site, accepted_by, post_run, posting
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_runs_killed_at_random_moments(site: Site, slack: RunningMock, seed: int) -> None:
    """Three runs die one after the other; the fourth brings the month to its end."""
    chance = random.Random(seed)  # noqa: S311  # picks moments; the seed makes the test repeatable
    slack.script(AMER, Step(delay_s=0.05, times=1_000))
    kills = 3
    for _ in range(kills):
        seen = slack.stats().total.requests
        target = seen + chance.randrange(1, site.count // 3)
        with run_command(site.source, folder=site.folder, env=site.env()) as run:
            # Some die before or while they record, the others after a number of POSTs.
            if chance.random() < 0.25:
                time.sleep(chance.uniform(0, 1.2))
            else:
                wait_until(partial(_enough, slack, run, target), what="enough have left")
                time.sleep(chance.uniform(0, 0.06))
            run.kill()
    finished = site.run()
    assert finished["status"] == "succeeded"
    assert finished["alerts"] == site.count
    assert finished["unknown"] <= kills * SENDERS
    site.assert_sound(accepted_by(slack), doubts=kills * SENDERS)
    assert {error for status, error in site.runs() if status == "failed"} <= {"interrupted"}


def test_killed_between_acceptance_and_settling(site: Site, slack: RunningMock) -> None:
    """What Slack had taken and nobody had written down is in doubt, held, and resent only on demand."""
    slack.script(AMER, Step(delay_s=60, times=SENDERS))
    with run_command(site.source, folder=site.folder, env=site.env(**PATIENT)) as run:
        wait_until(lambda: slack.stats().total.accepted == SENDERS, what="Slack has taken the first")
        run.kill()
    assert list(site.statuses().values()).count("sending") == SENDERS
    site.expire_leases()
    finished = site.run()
    assert (finished["unknown"], finished["alerts_sent"]) == (SENDERS, site.count - SENDERS)
    assert finished["undelivered"] == {"unknown": SENDERS}
    assert site.runs() == [("failed", "interrupted"), ("succeeded", None)]
    site.assert_sound(accepted_by(slack), doubts=SENDERS)
    again = site.run(ambiguous_sends="resend")
    assert (again["alerts_sent"], again["skipped_replay"]) == (SENDERS, site.count - SENDERS)
    assert len(slack.stats().total.duplicates) == SENDERS


def test_a_waiting_run_takes_over_from_one_that_died(site: Site, slack: RunningMock) -> None:
    """It need not be started after the death: it waits out the lease and does the rest."""
    slack.script(AMER, Step(delay_s=0.3, times=20))
    with (
        run_command(site.source, folder=site.folder, env=site.env()) as first,
        run_command(site.source, folder=site.folder, env=site.env()) as second,
    ):
        wait_until(lambda: slack.stats().total.requests >= 2 * SENDERS, what="one of them sends")
        waiting = "run_waiting"
        wait_until(
            lambda: any(event["message"] == waiting for run in (first, second) for event in run.events()),
            what="the other waits",
        )
        holder, waiter = (
            (second, first)
            if any(event["message"] == waiting for event in first.events())
            else (first, second)
        )
        holder.kill()
        assert waiter.exit_code() in {0, 2}
    site.assert_sound(accepted_by(slack), doubts=SENDERS)
    assert sorted(site.runs(), key=str) == [("failed", "interrupted"), ("succeeded", None)]


@pytest.mark.parametrize("seed", [4, 5])
def test_a_service_killed_in_mid_run(site: Site, slack: RunningMock, seed: int) -> None:
    """A restarted service resumes the dead run by itself, and a replay finds nothing left to send."""
    chance = random.Random(seed)  # noqa: S311  # picks a moment
    slack.script(AMER, Step(delay_s=0.05, times=1_000))
    with service(site.folder, site.env()) as first, posting(first, site.source):
        target = chance.randrange(1, site.count // 2)
        wait_until(lambda: slack.stats().total.requests >= target, what="enough have left")
        first.kill()
    with service(site.folder, site.env()) as second:
        wait_until(lambda: site.runs() == [("succeeded", None)], what="the dead run is resumed and finished")
        requests = slack.stats().total.requests
        answer = post_run(second, site.source)
        assert answer.status_code == 200, answer.text
        assert slack.stats().total.requests == requests
    site.assert_sound(accepted_by(slack), doubts=SENDERS)


def _enough(slack: RunningMock, run: Running, requests: int) -> bool:
    return slack.stats().total.requests >= requests or run.process.poll() is not None


def test_a_service_killed_inside_a_backoff_keeps_it(tmp_path: Path, slack: RunningMock) -> None:
    """Who resumes the run waits the backoff out, and the alert has the retries that were left to it."""
    site = Site(folder=tmp_path, webhook_base_url=slack.webhook_base_url, count=1)
    slack.script(AMER, Step(status=503, times=10))
    env = site.env(**PATIENT)
    with service(site.folder, env) as first, posting(first, site.source):
        # The third answer is written down: the alert waits for four seconds, and has one retry left.
        wait_until(lambda: site.rows("SELECT 1 FROM attempts WHERE claim = 3"), what="two retries are spent")
        first.kill()
    site.expire_leases()
    with service(site.folder, env):
        wait_until(lambda: site.runs() == [("succeeded", None)], what="the run is resumed and finished")
    times = [datetime.fromisoformat(record.ts) for record in slack.records()]
    assert len(times) == 4
    assert (times[3] - times[2]).total_seconds() >= 4
    assert site.rows("SELECT outcome, reason, attempts FROM run_outcomes") == [("failed", "server_error", 4)]
