"""`risk-alerts keys jwt` and `users`: from an empty folder to somebody who is logged in."""

import json
import subprocess
from pathlib import Path

from tests.support.processes import ASKING, command, service, unpaced

PASSWORD = "canary-correct-horse-battery"


def made(folder: Path, *arguments: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    """Give a command with a password on its stdin."""
    return command(folder, *arguments, "--password-stdin", stdin=f"{password}\n")


def test_from_nothing_to_a_log_in(tmp_path: Path) -> None:
    """A signing key, a super_admin, a service: then the door is closed, and the two open it."""
    keys = tmp_path / "keys" / "jwt.json"
    first = json.loads(command(tmp_path, "keys", "jwt", "--file", str(keys), "--json").stdout)
    assert keys.stat().st_mode & 0o777 == 0o600
    root = made(tmp_path, "users", "new", "root@example.com", "--role", "super_admin", "--json")
    assert root.returncode == 0, root.stderr
    assert json.loads(root.stdout)["role"] == "super_admin"
    with service(tmp_path, unpaced(tmp_path, JWT_KEYS_FILE=str(keys))) as running:
        assert ASKING.get(f"{running.url}/runs").status_code == 401
        url = f"{running.url}/api/v1/auth/login"
        body = {"email": "Root@Example.com", "password": PASSWORD}
        token = ASKING.post(url, json=body).json()["data"]["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert ASKING.get(f"{running.url}/runs", headers=headers).status_code == 200
        rotated = command(tmp_path, "keys", "jwt", "--json", JWT_KEYS_FILE=str(keys))
        assert json.loads(rotated.stdout)["verify"][1] == first["signs"]
        assert ASKING.get(f"{running.url}/runs", headers=headers).status_code == 200
        assert command(tmp_path, "users", "deactivate", "root@example.com").returncode == 0
        assert ASKING.get(f"{running.url}/runs", headers=headers).status_code == 401
        assert ASKING.post(url, json=body).status_code == 401
        command(tmp_path, "users", "activate", "root@example.com")
        changed = made(tmp_path, "users", "password", "root@example.com", password="another-horse-battery")
        assert changed.returncode == 0, changed.stderr
        assert ASKING.post(url, json=body).status_code == 401
        assert ASKING.post(url, json=body | {"password": "another-horse-battery"}).status_code == 200
        log = running.log.read_text()
    listed = command(tmp_path, "users", "list").stdout
    assert listed.splitlines()[1].split()[1:] == ["root@example.com", "root", "super_admin", "-", "yes"]
    for shown in (log, listed, root.stdout, root.stderr, changed.stdout, changed.stderr):
        assert PASSWORD not in shown
        assert "argon2" not in shown


def test_what_cannot_be_made_is_said_in_a_line(tmp_path: Path) -> None:
    """A short password, no organisation, no address, nobody of the name, no file for the keys."""
    for arguments, password, says in (
        (("users", "new", "a@b.example", "--role", "user"), "short", "12 to 256 characters"),
        (("users", "new", "a@b.example", "--role", "org_admin"), PASSWORD, "give --organization"),
        (("users", "new", "nobody", "--role", "user"), PASSWORD, "must be an e-mail address"),
    ):
        refused = made(tmp_path, *arguments, password=password)
        assert refused.returncode == 64
        assert says in refused.stderr
        assert password not in refused.stderr
    absent = made(tmp_path, "users", "password", "nobody@example.com")
    assert absent.returncode == 1
    assert "user_not_found" in absent.stderr
    assert command(tmp_path, "keys", "jwt").returncode == 64
    (tmp_path / "broken.json").write_text('{"canary": 1}')
    broken = command(tmp_path, "keys", "jwt", "--file", str(tmp_path / "broken.json"))
    assert broken.returncode == 64
    assert "signing_keys_unusable" in broken.stderr
    assert "canary" not in broken.stderr


def test_a_service_whose_keys_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    """Said at once and by name, and not at the first log-in."""
    refused = command(tmp_path, "serve", "--port", "0", JWT_KEYS_FILE=str(tmp_path / "none.json"))
    assert refused.returncode == 64
    assert "signing_keys_unusable" in refused.stderr
    assert "none.json" in refused.stderr
