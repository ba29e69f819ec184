"""Slack goes away in the middle of a run, and comes back."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from mock_slack.script import Step
from tests.support.processes import mock_process, run_command
from tests.support.site import AMER, SENDERS, Site, accepted_of, records_in
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("away_s", [0, 12], ids=["a moment", "longer than an alert's retries"])
def test_slack_is_killed_and_comes_back(tmp_path: Path, away_s: float) -> None:
    """Only what was on its way when Slack died is in doubt; the rest waits for it and arrives."""
    with ExitStack() as stack:
        slack, process = stack.enter_context(mock_process(tmp_path))
        site = Site(folder=tmp_path, webhook_base_url=slack.webhook_base_url)
        slack.script(AMER, Step(delay_s=0.05, times=1_000))
        run = stack.enter_context(run_command(site.source, folder=tmp_path, env=site.env(lease_s=30)))
        wait_until(lambda: slack.stats().total.requests >= 12, what="some have left")
        process.kill()
        time.sleep(away_s)
        port = int(slack.url.rpartition(":")[2])
        stack.enter_context(mock_process(tmp_path, port=port))
        assert run.exit_code() in {0, 2}
    site.assert_sound(accepted_of(records_in(tmp_path / "mock.jsonl")), doubts=SENDERS)
    assert site.runs() == [("succeeded", None)]


def test_slack_stays_away_until_the_next_run(tmp_path: Path) -> None:
    """The run gives the destination up by itself; the next one sends what is left."""
    with ExitStack() as stack:
        slack, process = stack.enter_context(mock_process(tmp_path))
        site = Site(folder=tmp_path, webhook_base_url=slack.webhook_base_url)
        slack.script(AMER, Step(delay_s=0.05, times=1_000))
        run = stack.enter_context(
            run_command(site.source, folder=tmp_path, env=site.env(lease_s=30, delivery_deadline_s=10))
        )
        wait_until(lambda: slack.stats().total.requests >= 12, what="some have left")
        process.kill()
        assert run.exit_code() == 2
        statuses = list(site.statuses().values())
        assert statuses.count("failed") > 0
        assert set(statuses) <= {"sent", "failed", "unknown"}
        port = int(slack.url.rpartition(":")[2])
        stack.enter_context(mock_process(tmp_path, port=port))
        finished = site.run()
    assert finished["alerts_sent"] == statuses.count("failed")
    site.assert_sound(accepted_of(records_in(tmp_path / "mock.jsonl")), doubts=SENDERS)
