"""`risk-alerts keys`: made on the command line, used at the API, and gone when they are revoked."""

import json
from pathlib import Path
from typing import Any, Final

from service.domain.identity.api_key import KeySecret
from tests.support.processes import ASKING, command, forked, listening, service, unpaced

NEW: Final = ("keys", "new", "--name", "nightly", "--scope", "read", "--scope", "runs")


def _keys(folder: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(command(folder, "keys", "list", "--json").stdout)["keys"]
    return listed


def test_a_key_from_its_making_to_its_end(tmp_path: Path) -> None:
    """Shown once, alone on stdout; accepted until it is revoked; never listed with its secret."""
    with service(tmp_path, unpaced(tmp_path)) as running:
        assert ASKING.get(f"{running.url}/runs").status_code == 200
        made = command(tmp_path, *NEW, "--expires-in-days", "30")
        assert made.returncode == 0, made.stderr
        text = made.stdout.strip()
        secret = KeySecret.parse(text)
        assert secret is not None
        headers = {"authorization": f"Bearer {text}"}
        assert ASKING.get(f"{running.url}/runs").status_code == 401
        assert ASKING.get(f"{running.url}/runs", headers=headers).status_code == 200
        revoked = command(tmp_path, "keys", "revoke", secret.id)
        assert revoked.returncode == 0, revoked.stderr
        assert ASKING.get(f"{running.url}/runs", headers=headers).status_code == 401
    (key,) = _keys(tmp_path)
    assert (key["id"], key["name"], key["scopes"]) == (secret.id, "nightly", ["read", "runs"])
    assert key["revoked_at"] is not None
    assert key["expires_at"] is not None
    listed = command(tmp_path, "keys", "list").stdout
    assert listed.splitlines()[1].startswith(secret.id)
    for shown in (listed, revoked.stdout, made.stderr, running.log.read_text()):
        assert secret.secret not in shown
    assert secret.secret.encode() not in (tmp_path / "risk_alerts.db").read_bytes()


def test_keys_that_cannot_be_made_or_revoked(tmp_path: Path) -> None:
    """An unknown scope, none at all, an unknown id: said in one line, with the code for it."""
    assert command(tmp_path, "keys", "new", "--name", "x", "--scope", "everything").returncode == 64
    assert command(tmp_path, "keys", "new", "--name", "x").returncode == 64
    absent = command(tmp_path, "keys", "revoke", "0" * 12)
    assert absent.returncode == 1
    assert absent.stderr.endswith("risk-alerts: key_not_found: no API key has this id\n")


def test_required_means_that_somebody_can_come(tmp_path: Path) -> None:
    """`AUTH=required` refuses to serve without an identity; the command line works, and makes the first."""
    refused = command(tmp_path, "serve", "--port", "0", AUTH="required")
    assert refused.returncode == 64
    assert "risk-alerts: no_identity: AUTH=required" in refused.stderr
    made = json.loads(command(tmp_path, *NEW, "--json", AUTH="required").stdout)
    assert KeySecret.parse(made["key"]) is not None
    with service(tmp_path, unpaced(tmp_path, AUTH="required")) as running:
        headers = {"x-service-key": made["key"]}
        assert ASKING.get(f"{running.url}/runs", headers=headers).status_code == 200


def test_a_closed_door_is_not_warned_of(tmp_path: Path) -> None:
    """Bound to every address, with an identity, there is nothing to warn of; with `AUTH=none` there is."""
    assert command(tmp_path, *NEW).returncode == 0
    arguments = ("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104  # the point of it
    for auth, is_open in (("auto", False), ("none", True)):
        with forked(arguments, folder=tmp_path, env=unpaced(tmp_path, AUTH=auth)) as running:
            messages = [line["message"] for line in listening(running).events()]
        assert ("open_to_all" in messages) == is_open
