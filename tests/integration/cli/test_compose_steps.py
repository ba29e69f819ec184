"""The steps of deploy/compose/README.md with the settings of its compose file, without containers."""

import json
import re
import shlex
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from mock_slack.running import RunningMock
from tests.support.databases import PostgresqlServer
from tests.support.log_files import write_csv
from tests.support.log_runs import burst
from tests.support.processes import ASKING, ROOT, command, service
from tests.support.waiting import wait_until

FOLDER: Final = ROOT / "deploy" / "compose"


@pytest.fixture
def settings(tmp_path: Path, slack: RunningMock, postgresql_server: PostgresqlServer) -> dict[str, str]:
    """Return what the service's container is given, with this machine's addresses and folders in it."""
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    given: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{INTERNAL_SERVICE_KEY:-\}", "", text))
    environment = given["services"]["service"]["environment"]
    assert "AUTH=required" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (tmp_path / "logs").mkdir()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "mobile.toml").symlink_to(ROOT / "log_rules.toml")
    here = {
        "DATABASE_URL": postgresql_server.new(empty=True),
        "SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url,
        "RULES_FOLDER": str(tmp_path / "rules"),
        "ALLOWED_SOURCES": environment["ALLOWED_SOURCES"].replace("/data/logs", str(tmp_path / "logs")),
    }
    assert here.keys() <= environment.keys()
    return {"AUTH": "required", **environment, **here}


def test_the_steps_of_the_readme_send_the_messages(
    tmp_path: Path, slack: RunningMock, settings: dict[str, str]
) -> None:
    """Nobody starts it without a key; the first command makes the database; the run goes out as it says."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\$ (.*(?:\\\n.*|\n    .*)*)", readme.partition("```console")[2], re.MULTILINE)
    (made,) = [step for step in steps if "run --rm -T service" in step]
    (asked,) = [step for step in steps if "/runs" in step]
    write_csv(tmp_path / "logs" / "2026-01-01.csv.gz", burst(12, 12))
    refused = command(tmp_path, "serve", "--port", "0", **settings)
    assert (refused.returncode, "no_identity" in refused.stderr) == (64, True)
    keys = shlex.split(made.partition("service risk-alerts ")[2].partition(" > ")[0])
    key = command(tmp_path, *keys, **settings).stdout
    words = shlex.split(asked.replace("\\\n", ""))
    body = words[words.index("-d") + 1].replace("/data/logs", str(tmp_path / "logs"))
    with service(tmp_path, settings) as running:
        assert ASKING.get(f"{running.url}/live").status_code == 200
        headers = {"Authorization": f"Bearer {key.strip()}"}
        assert ASKING.post(f"{running.url}/runs", json=json.loads(body)).status_code == 401
        answer = ASKING.post(f"{running.url}/runs", json=json.loads(body), headers=headers)
        assert answer.is_success, answer.text
        wait_until(lambda: len(slack.records()) == 2, what="both rules have said so")
