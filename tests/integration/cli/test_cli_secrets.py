"""Secrets: a canary is put into every setting that holds one, and is looked for wherever text comes out."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from mock_slack.running import RunningMock, running_mock
from mock_slack.script import Step
from tests.support.processes import command, service, unpaced
from tests.support.rows import MONTH, account, write_source
from tests.support.served import CANARY_PATH, CANARY_SMTP_PASSWORD, CANARY_TOKEN
from tests.support.waiting import wait_until

CANARIES = ("canarywebhooksecret", "T0CANARY", CANARY_TOKEN, CANARY_SMTP_PASSWORD)
PASSWORD = "canary correct horse"
INTERNAL_KEY = "canary-of-other-services"


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Return a source with alerts, one of them for support."""
    return write_source(tmp_path / "a.parquet", [account(1), account(2, account_region=None)])


@pytest.fixture
def slack() -> Iterator[RunningMock]:
    """Return a mock Slack that asks for the canary token."""
    with running_mock(auth_token=CANARY_TOKEN) as slack:
        yield slack


def _settings(slack: RunningMock, **values: str) -> dict[str, str]:
    return {
        "SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url,
        "SLACK_AUTH_TOKEN": CANARY_TOKEN,
        # Nobody listens there: the notice fails, and says why without saying how to log in.
        "SMTP_URL": f"smtp://canaryuser:{CANARY_SMTP_PASSWORD}@127.0.0.1:9",
        "LOG_LEVEL": "DEBUG",
        **values,
    }


def _check(folder: Path, *texts: str, canaries: Iterable[str] = CANARIES) -> None:
    """Find no canary in the texts, nor in any file that was written; the signing keys' own is named so."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "jwt.json"]
    files = [path.read_bytes().decode("latin-1") for path in paths]
    assert any("CREATE TABLE" in text for text in files)
    for text in (*texts, *files):
        for canary in canaries:
            assert canary not in text, canary[:12]


def test_a_command_gives_no_secret_away(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """Not on stdout, not in the logs at DEBUG, not in the database, not in the notice's file."""
    done = command(tmp_path, "run", source, "--month", MONTH, "--json", **_settings(slack))
    assert json.loads(done.stdout)["counts"]["alerts_sent"] == 1, done.stderr
    _check(tmp_path, done.stdout, done.stderr)


def test_a_bot_gives_no_secret_away(tmp_path: Path, source: str) -> None:
    """Neither its token nor the key of its markers, also where Slack repeats the token."""
    canaries = ("canarybottoken", "canary-key-of-markers")
    with running_mock(bot_token=f"xoxb-{canaries[0]}") as slack:
        values = _settings(
            slack,
            SLACK_WEBHOOK_BASE_URL="",
            SLACK_API_URL=slack.api_url,
            SLACK_BOT_TOKEN=f"xoxb-{canaries[0]}",
            MARKER_KEY=canaries[1],
        )
        done = command(tmp_path, "run", source, "--month", MONTH, "--json", **values)
        assert json.loads(done.stdout)["counts"]["alerts_sent"] == 1, done.stderr
        _check(tmp_path, done.stdout, done.stderr, canaries=canaries)
        (message,) = slack.messages("amer-risk-alerts")
        assert canaries[1] not in json.dumps(message)
        slack.script("amer-risk-alerts", Step(body={"ok": False, "error": f"no xoxb-{canaries[0]}"}))
        other = write_source(tmp_path / "b.parquet", [account(3)])
        done = command(tmp_path, "run", other, "--month", MONTH, "--json", **values)
        assert json.loads(done.stdout)["counts"]["failed_deliveries"] == 1, done.stderr
        _check(tmp_path, done.stdout, done.stderr, canaries=canaries)


def test_a_pressed_button_gives_no_secret_away(tmp_path: Path, source: str) -> None:
    """Neither the signing secret, nor a signature, nor where the person is answered.

    Also where a request is forged, where it is none, and where Slack does not take the answer.
    """
    signing_secret = "canary-signing-secret"
    with running_mock() as slack:
        values = _settings(
            slack,
            SLACK_WEBHOOK_BASE_URL="",
            SLACK_API_URL=slack.api_url,
            SLACK_BOT_TOKEN="xoxb-canary-token",
            MARKER_KEY="canary-key-of-markers",
            SLACK_SIGNING_SECRET=signing_secret,
        )
        with service(tmp_path, unpaced(tmp_path, **values)) as running:
            with httpx2.Client(base_url=running.url, timeout=20, trust_env=False, verify=False) as client:
                run = client.post("/runs", json={"source_uri": source, "month": MONTH})
                assert run.status_code == 200, run.text
                press = {"request_url": f"{running.url}/slack/interactions", "signing_secret": signing_secret}
                press |= {"channel": "amer-risk-alerts", "action_id": "resolve"}
                slack.script("response_url", Step(status=404))
                pressed = [slack.press(**press), slack.press(**press, team="T0OTHER")]
                pressed += [slack.press(**press, signature="v0=canary-signature")]
                wait_until(lambda: not slack.waiting(), what="somebody was answered")
                garbage = client.post(
                    "/slack/interactions",
                    content=pressed[0]["request"]["body"].replace("block_actions", "canary-type"),
                    headers=pressed[0]["request"]["headers"],
                )
            running.terminate()
            assert running.exit_code() == 0
            log = running.log.read_text()
    assert [each["status"] for each in pressed] == [200, 200, 401]
    assert garbage.status_code == 401
    assert "button_pressed" in log
    assert "press_not_answered" in log
    bodies = [parse_qs(each["request"]["body"])["payload"][0] for each in pressed]
    urls = [urlsplit(json.loads(body)["response_url"]).path for body in bodies]
    signatures = [each["request"]["headers"]["X-Slack-Signature"] for each in pressed]
    _check(
        tmp_path,
        *(each["body"] for each in pressed),
        garbage.text,
        canaries=(signing_secret, "canary-type", "xoxb-canary", *signatures, *urls),
    )


@pytest.mark.parametrize("path", [CANARY_PATH, f"{CANARY_PATH}/%E2%9C%93"])
def test_a_webhook_that_fails_is_not_named(
    tmp_path: Path, source: str, slack: RunningMock, path: str
) -> None:
    """A single webhook whose path is the secret: refused by the server, and unreachable."""
    for base in (slack.url, "http://127.0.0.1:9"):
        values = _settings(slack, SLACK_WEBHOOK_BASE_URL="", SLACK_WEBHOOK_URL=f"{base}{path}")
        done = command(tmp_path, "run", source, "--month", MONTH, SLACK_MAX_RETRIES="0", **values)
        assert done.returncode == 2, done.stderr
        _check(tmp_path, done.stdout, done.stderr)


def test_the_service_gives_no_secret_away(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """Not in an answer, not in a log line; and every line of the run carries the caller's trace."""
    slack.script("amer-risk-alerts", Step(status=400, body=f"bad {CANARY_TOKEN}"))
    trace = "0af7651916cd43dd8448eb211c80319c"
    values = _settings(slack, GOOGLE_CLOUD_PROJECT="p1", LOG_FORMAT="json")
    with service(tmp_path, unpaced(tmp_path, **values)) as running:
        headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        with httpx2.Client(base_url=running.url, headers=headers, timeout=20, trust_env=False) as client:
            started_run = client.post("/runs", json={"source_uri": source, "month": MONTH})
            run_id = started_run.json()["run_id"]
            answers = [
                client.get(path).text
                for path in (f"/runs/{run_id}", f"/runs/{run_id}/alerts", "/runs", "/openapi.json", "/none")
            ]
        running.terminate()
        assert running.exit_code() == 0
    _check(tmp_path, *answers)
    assert len(running.events()) == len(running.log.read_text().splitlines())
    of_run = [line for line in running.events() if line.get("run_id") == run_id]
    assert {"run_started", "alert_settled", "run_finished"} <= {line["message"] for line in of_run}
    assert {line["logging.googleapis.com/trace"] for line in of_run} == {f"projects/p1/traces/{trace}"}


def test_identities_give_no_secret_away(tmp_path: Path, slack: RunningMock) -> None:
    """Passwords, API keys, access and refresh tokens, signing keys and the key of other services.

    Each is handed out once, to whom it belongs, and after that is in no answer, no line, no file and no row:
    also where a client puts it in the wrong place.
    """
    values = _settings(slack, INTERNAL_SERVICE_KEY=INTERNAL_KEY, JWT_KEYS_FILE=str(tmp_path / "jwt.json"))
    made = [
        command(tmp_path, "keys", "jwt", **values),
        command(
            tmp_path,
            *("users", "new", "root@example.com", "--role", "super_admin", "--password-stdin"),
            stdin=PASSWORD,
            **values,
        ),
        command(tmp_path, "keys", "new", "--name", "ci", "--scope", "read", **values),
    ]
    assert [done.returncode for done in made] == [0, 0, 0], [done.stderr for done in made]
    key = made[2].stdout.strip()
    signing = [each["d"] for each in json.loads((tmp_path / "jwt.json").read_text())["keys"]]
    answers = []
    with service(tmp_path, unpaced(tmp_path, **values)) as running:
        with httpx2.Client(base_url=running.url, timeout=20, trust_env=False) as client:
            log_in = {"email": "root@example.com", "password": PASSWORD}
            first = client.post("/api/v1/auth/login", json=log_in).json()["data"]
            refresh = {"refresh_token": first["refresh_token"]}
            second = client.post("/api/v1/auth/refresh", json=refresh).json()["data"]
            tokens = [pair["access_token"] for pair in (first, second)]
            secrets = {key, PASSWORD, INTERNAL_KEY, *signing, *tokens}
            secrets |= {first["refresh_token"], second["refresh_token"]}
            secrets |= {each.split(".")[2] for each in tokens}
            bearer = {"Authorization": f"Bearer {second['access_token']}"}
            answers = [
                client.post("/api/v1/auth/refresh", json=refresh),
                client.post("/api/v1/auth/login", json=log_in | {"password": f"{PASSWORD}!"}),
                client.get("/api/v1/auth/me", headers=bearer),
                client.get("/api/v1/users", headers=bearer),
                client.get("/api/v1/audit", headers=bearer),
                client.post("/internal/none", json={}, headers={"X-Service-Key": INTERNAL_KEY}),
            ]
            for secret in sorted(secrets):
                answers += [
                    client.post("/runs", json={"source_uri": secret, "month": secret}, headers=bearer),
                    client.post("/api/v1/users", json={"email": secret, "name": secret}, headers=bearer),
                    client.post("/api/v1/auth/login", json={"email": secret, "password": secret}),
                    client.post("/api/v1/auth/refresh", json={"refresh_token": f"{secret}x"}),
                    client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {secret}x"}),
                    client.get("/runs", headers={"X-Service-Key": f"{secret}x"}),
                ]
            # What nobody could tell from a word is not looked for in an address, which the log repeats.
            for secret in sorted(secrets - {PASSWORD, *signing, *(each.split(".")[2] for each in tokens)}):
                answers += [
                    client.get("/runs", params={"month": secret}, headers=bearer),
                    client.get(f"/runs/{secret}", headers=bearer),
                    client.get("/api/v1/audit", params={"cursor": secret}, headers=bearer),
                    client.post("/api/v1/users", json={secret: secret}, headers=bearer),
                ]
        running.terminate()
        assert running.exit_code() == 0
    assert {answer.status_code for answer in answers} >= {200, 401, 404, 409, 422}
    said = [f"{answer.text} {answer.headers}" for answer in answers]
    _check(
        tmp_path,
        *said,
        *(done.stderr for done in made),
        made[0].stdout,
        made[1].stdout,
        canaries=sorted(secrets),
    )
