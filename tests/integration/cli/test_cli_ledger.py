"""One ledger for each user: the same command from two folders sends nothing twice."""

import json
import shutil
from pathlib import Path

from mock_slack.running import RunningMock
from tests.support.processes import command
from tests.support.rows import MONTH


def test_a_second_folder_sends_nothing_again(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """A run and `runs` say where they look, and an older ledger is not passed over."""
    env = {
        "DATABASE_URL": "",
        "XDG_DATA_HOME": str(tmp_path / "share"),
        "SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url,
    }
    ledger = tmp_path / "share" / "risk-alerts" / "risk_alerts.db"
    (one := tmp_path / "one").mkdir()
    (other := tmp_path / "other").mkdir()
    assert f"Ledger: {ledger} (nothing there yet)\n" in command(one, "runs", **env).stdout
    first = command(one, "run", source, "--month", MONTH, **env)
    assert json.loads(first.stderr.splitlines()[0])["database"] == str(ledger)
    assert f"Ledger: {ledger}\n" in first.stdout
    second = json.loads(command(other, "run", source, "--month", MONTH, "--json", **env).stdout)
    assert (second["counts"]["alerts_sent"], second["counts"]["skipped_replay"]) == (0, 3)
    assert slack.stats().total.accepted == 3
    # An installation of before: its ledger lies in the folder that it runs in.
    shutil.move(ledger.parent, other / "data")
    kept = command(other, "run", source, "--month", MONTH, **env)
    assert [json.loads(line)["message"] for line in kept.stderr.splitlines()[:2]] == [
        "opened",
        "ledger_not_named",
    ]
    listed = command(other, "runs", **env)
    assert f"Ledger: {other / 'data' / 'risk_alerts.db'}\n" in listed.stdout
    assert "risk-alerts: warning: DATABASE_URL is not set" in listed.stderr
    shutil.copytree(other / "data", ledger.parent)
    refused = command(other, "run", source, "--month", MONTH, **env)
    assert refused.returncode == 64
    assert "two_ledgers" in refused.stderr
    assert slack.stats().total.accepted == 3


def test_a_pod_whose_ledger_may_die_with_it_is_warned(tmp_path: Path, source: str) -> None:
    """Nobody can see from inside whether a volume outlives a pod: a warning, and no refusal."""
    lines = []
    for allowed in ("false", "true"):
        variables = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "ALLOW_EPHEMERAL_DATABASE": allowed}
        done = command(tmp_path, "run", source, "--month", MONTH, "--dry-run", **variables)
        assert done.returncode == 0
        logged = [json.loads(line) for line in done.stderr.splitlines()]
        lines.append([line["severity"] for line in logged if line["message"] == "ledger_may_be_lost"])
    assert lines == [["WARNING"], []]
