"""A press whose answer is lost because the process dies: it counts, and pressing again says so."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.house import AMER, MARKER_KEY
from tests.support.office import SIGNING_SECRET
from tests.support.processes import Running, command, service, unpaced
from tests.support.rows import MONTH, accounts, write_source
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault


def test_killed_once_the_step_is_taken(tmp_path: Path, slack: RunningMock) -> None:
    """There is one event, whoever repeats the press reads that it was done."""
    bot = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_API_URL": slack.api_url, "MARKER_KEY": MARKER_KEY}
    env = unpaced(tmp_path, **bot, SLACK_SIGNING_SECRET=SIGNING_SECRET, LEASE_S="12")
    source = write_source(tmp_path / "a.parquet", accounts(1))
    assert command(tmp_path, "run", source, "--month", MONTH, **env).returncode == 0

    def press(running: Running) -> dict[str, Any]:
        url = f"{running.url}/slack/interactions"
        return slack.press(request_url=url, signing_secret=SIGNING_SECRET, channel=AMER, action_id="resolve")

    def resolved() -> int:
        with closing(sqlite3.connect(tmp_path / "risk_alerts.db")) as ledger:
            query = "SELECT count(*) FROM alert_events WHERE event = 'resolved'"
            return int(ledger.execute(query).fetchone()[0])

    with service(tmp_path, env) as first, ThreadPoolExecutor(1) as pool:
        # The message is not changed meanwhile: that would take the button away.
        slack.script(AMER, Step(status=503, times=100))
        answer = pool.submit(press, first)
        wait_until(resolved, what="the step is taken")
        first.kill()
        assert answer.result()["status"] in {None, 200}
    with service(tmp_path, env) as second:
        assert press(second)["status"] == 200
        (said,) = wait_until(slack.answers, what="the person is answered")
        assert "It has been resolved by you already" in said["answer"]["text"]
    assert resolved() == 1
