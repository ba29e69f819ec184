"""`reconcile`: what a run left in doubt is looked for in the channel, by whoever asks."""

import json
from pathlib import Path

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.house import AMER, MARKER_KEY
from tests.support.processes import command
from tests.support.rows import MONTH, accounts, write_source


def test_what_a_run_left_is_settled_by_a_command(tmp_path: Path, slack: RunningMock) -> None:
    """First it cannot look, and says why; then it finds the message, and nothing is in doubt any more."""
    bot = {"SLACK_BOT_TOKEN": "xoxb-1", "MARKER_KEY": MARKER_KEY, "SLACK_API_URL": slack.api_url}
    slack.script(AMER, Step(drop="after"))
    source = write_source(tmp_path / "a.parquet", accounts(1))
    run = command(tmp_path, "run", source, "--month", MONTH, "--json", RECONCILE_FOR_S="0", **bot)
    assert (run.returncode, json.loads(run.stdout)["counts"]["unknown"]) == (2, 1)
    slack.behave(scopes=["channels:read"])
    refused = command(tmp_path, "reconcile", **bot)
    assert refused.returncode == 2
    assert "1 not looked for to the end" in refused.stdout
    assert (
        "#amer-risk-alerts: the history could not be read: missing_scope (channels:history)" in refused.stdout
    )
    slack.behave()
    done = command(tmp_path, "reconcile", "--json", **bot)
    assert (done.returncode, json.loads(done.stdout)) == (
        0,
        {"found": 1, "resend": 0, "held": 0, "unread": 0},
    )
    assert len(slack.messages(AMER)) == 1
    again = command(tmp_path, "reconcile", **bot)
    assert (again.returncode, again.stdout[:7]) == (0, "0 found")


def test_only_a_bot_can_look(tmp_path: Path) -> None:
    """With webhooks the command says what it would need, and touches no database."""
    done = command(tmp_path, "reconcile", SLACK_WEBHOOK_URL="http://127.0.0.1:9/x")
    assert done.returncode == 64
    assert "slack_not_configured: set SLACK_BOT_TOKEN" in done.stderr
    assert not list(tmp_path.rglob("*.db"))
