"""Stopping: what becomes of the alerts of a run that a person interrupts or cancels is said."""

import signal
from pathlib import Path

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.processes import command, forked, run_command, unpaced
from tests.support.rows import MONTH, accounts, write_source
from tests.support.waiting import wait_until


def test_an_interrupted_run_says_what_becomes_of_the_rest(tmp_path: Path, slack: RunningMock) -> None:
    """At once that it stops, then how many are left, who sends them, and the command that ends the run."""
    slack.script("amer-risk-alerts", Step(delay_s=0.2, times=100))
    source = write_source(tmp_path / "a.parquet", accounts(20))
    env = unpaced(tmp_path, SLACK_WEBHOOK_BASE_URL=slack.webhook_base_url, SLACK_CONCURRENCY="1")
    with forked(("run", source, "--month", MONTH), folder=tmp_path, env=env) as running:
        wait_until(lambda: slack.stats().total.accepted, what="one is sent")
        running.process.send_signal(signal.SIGINT)
        assert running.exit_code() == 1
    text = running.log.read_text()
    assert "risk-alerts: stopping: requests in flight are answered first" in text
    run_id = running.events()[1]["run_id"]
    left = 20 - slack.stats().total.accepted
    last = text.splitlines()[-1]
    assert f"{left} alerts have not been sent. A running `risk-alerts serve` resumes the run" in last
    assert f"`risk-alerts cancel {run_id}` ends it" in last
    cancelled = command(tmp_path, "cancel", run_id)
    assert cancelled.returncode == 0
    assert "cancelled" in cancelled.stdout
    assert "cancelling" not in cancelled.stdout


def test_a_run_that_is_at_work_is_said_to_be_cancelling(tmp_path: Path, slack: RunningMock) -> None:
    """It has not ended yet: its process answers what is in flight first."""
    slack.script("amer-risk-alerts", Step(delay_s=0.2, times=100))
    source = write_source(tmp_path / "a.parquet", accounts(20))
    env = unpaced(tmp_path, SLACK_WEBHOOK_BASE_URL=slack.webhook_base_url, SLACK_CONCURRENCY="1")
    with run_command(source, folder=tmp_path, env=env) as running:
        wait_until(lambda: slack.stats().total.accepted, what="one is sent")
        running.freeze()
        run_id = running.events()[1]["run_id"]
        said = command(tmp_path, "cancel", run_id)
        running.thaw()
        assert running.exit_code() == 1
    assert said.stdout.startswith(f"Run {run_id}: cancelling, ")
    assert f"`risk-alerts runs show {run_id}` says how it ended" in said.stdout
    assert "cancelled" in running.log.read_text()
