"""`risk-alerts audit`: every change has a name under it, whichever door it came through."""

import getpass
import json
from pathlib import Path
from typing import Any

from service.domain.identity.api_key import KeySecret
from tests.support.processes import ASKING, command, service, unpaced
from tests.support.rows import MONTH, accounts, write_source


def _entries(folder: Path, *options: str) -> tuple[list[dict[str, Any]], str | None]:
    done = command(folder, "audit", "--json", *options)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["entries"], answer["next_cursor"]


def test_every_change_has_a_name_under_it(tmp_path: Path) -> None:
    """A run and a key of the command line, a run begun with the key; newest first, page by page."""
    source = write_source(tmp_path / "a.parquet", accounts(1))
    run = command(tmp_path, "run", source, "--month", MONTH, "--dry-run", "--json")
    assert run.returncode == 0, run.stderr
    text = command(tmp_path, "keys", "new", "--name", "ci", "--scope", "runs").stdout.strip()
    key = KeySecret.parse(text)
    assert key is not None
    with service(tmp_path, unpaced(tmp_path)) as running:
        headers = {"authorization": f"Bearer {text}", "x-request-id": "monday"}
        body = {"source_uri": source, "month": MONTH, "dry_run": True}
        answer = ASKING.post(f"{running.url}/runs", json=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
    first, cursor = _entries(tmp_path, "--limit", "1")
    rest, end = _entries(tmp_path, "--cursor", str(cursor))
    person = f"cli:{getpass.getuser()}"
    assert end is None
    assert [
        (each["principal"], each["action"], each["target"], each["address"], each["request_id"])
        for each in [*first, *rest]
    ] == [
        (f"api_key:{key.id}", "run.begin", answer.json()["run_id"], "127.0.0.1", "monday"),
        (person, "key.create", key.id, None, None),
        (person, "run.begin", json.loads(run.stdout)["run_id"], None, None),
    ]
    assert [each["action"] for each in _entries(tmp_path, "--action", "key.create")[0]] == ["key.create"]
    for nothing in (("--principal", "user:nobody"), ("--cursor", "0")):
        assert _entries(tmp_path, *nothing) == ([], None)
    shown = command(tmp_path, "audit").stdout
    assert len(shown.splitlines()) == 4
    assert key.secret not in shown
