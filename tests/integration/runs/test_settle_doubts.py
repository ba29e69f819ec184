"""Settling doubts, at both doors: what Slack may or may not have, a person decides."""

import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.house import account_of
from tests.support.processes import command
from tests.support.rows import MONTH, account, write_source
from tests.support.served import RunningService, logged

AMER = "amer-risk-alerts"


pytestmark = pytest.mark.serves(slack_concurrency=1)


@pytest.fixture
def doubt(service: RunningService, source: str, slack: RunningMock) -> dict[str, Any]:
    """Return the one alert of the month whose answer got lost: that of the first account."""
    slack.script(AMER, Step(drop="after"))
    run = service.run(source)
    (alert,) = service.get(f"/runs/{run['run_id']}/alerts", outcome="unknown")["alerts"]
    assert (alert["account_id"], run["counts"]["unknown"]) == ("a0000", 1)
    return dict(alert, run_id=run["run_id"])


def _settle(service: RunningService, alert_id: str, **body: Any) -> tuple[int, dict[str, Any]]:
    response = service.client.post(f"/alerts/{alert_id}/settle", json=body)
    return response.status_code, response.json()


def test_slack_has_it(service: RunningService, source: str, doubt: dict[str, Any]) -> None:
    """Nobody posts it again, and everybody can see who said so, when and why."""
    before = service.get(f"/alerts/{doubt['alert_id']}")["delivery"]
    assert (before["status"], before["reason"], before["settled"]) == ("unknown", "response_lost", [])
    assert before["run_id"] == doubt["run_id"]
    said = {"as": "sent", "note": "seen at 09:14", "by": "ann"}
    status, answer = _settle(service, doubt["alert_id"], **said)
    assert (status, answer["status"], answer["reason"]) == (200, "sent", None)
    assert answer["sent_at"] == before["claimed_at"]
    (kept,) = answer["settled"]
    assert kept.items() >= (said | {"run_id": doubt["run_id"]}).items()
    assert kept["at"] == answer["updated_at"] > before["updated_at"]
    assert service.get(f"/alerts/{doubt['alert_id']}")["delivery"].items() <= answer.items()
    assert service.run(source)["counts"]["skipped_replay"] == 3
    assert service.get(f"/runs/{doubt['run_id']}")["counts"]["unknown"] == 1


def test_slack_shall_have_it(
    service: RunningService, source: str, doubt: dict[str, Any], slack: RunningMock
) -> None:
    """The month's next run sends it under hold, with its route, facts and message of then."""
    status, answer = _settle(service, doubt["alert_id"], **{"as": "resend"})
    assert (status, answer["status"], answer["sent_at"]) == (200, "pending", None)
    assert [(kept["by"], kept["note"]) for kept in answer["settled"]] == [("api", None)]
    slack.reset()
    moved = account(0, account_region="EMEA", arr=77_777)
    write_source(Path(source.removeprefix("file://")), [moved, *(account(number) for number in (1, 2))])
    assert service.run(source)["counts"]["alerts_sent"] == 1
    (posted,) = slack.records()
    assert (posted.channel, account_of(posted.payload)) == ("emea-risk-alerts", "a0000")
    assert "$77,777" in (posted.payload or {})["text"]
    shown = service.get(f"/alerts/{doubt['alert_id']}")["occurrences"][-1]
    delivery = shown["delivery"]
    assert (delivery["status"], delivery["channel"]) == ("sent", "emea-risk-alerts")
    assert shown["facts"]["arr"] == 77_777


def test_what_the_data_no_longer_have_is_not_sent_again(
    service: RunningService, source: str, doubt: dict[str, Any], slack: RunningMock
) -> None:
    """An alert to be sent again whose account has recovered is withdrawn instead."""
    _settle(service, doubt["alert_id"], **{"as": "resend"})
    slack.reset()
    write_source(Path(source.removeprefix("file://")), (account(number) for number in (1, 2)))
    run = service.run(source)
    assert (run["counts"]["withdrawn"], slack.records()) == (1, [])
    (gone,) = service.get(f"/runs/{run['run_id']}/withdrawn", limit=1)["withdrawn"]
    assert (gone["account_id"], gone["status"], gone["channel"]) == ("a0000", "pending", AMER)
    assert run["sample_withdrawn"] == [gone]
    assert service.get(f"/alerts/{doubt['alert_id']}")["delivery"]["status"] == "withdrawn"


def test_a_word_counts_once(service: RunningService, doubt: dict[str, Any]) -> None:
    """The same again is answered with what was decided, and logged once; the opposite is refused."""
    with logged() as lines:
        first = _settle(service, doubt["alert_id"], **{"as": "sent", "by": "ann"})
        assert _settle(service, doubt["alert_id"], **{"as": "sent", "by": "bob"}) == first
        status, refused = _settle(service, doubt["alert_id"], **{"as": "resend"})
        decided = [line for line in lines() if line["message"] == "alert_decided"]
    assert (status, refused["error"]) == (409, "not_in_doubt")
    assert refused["detail"] == "the alert is not in doubt: it is sent"
    (line,) = decided
    assert (
        line.items()
        >= {
            "severity": "INFO",
            "run_id": doubt["run_id"],
            "alert_id": doubt["alert_id"],
            "account_id": "a0000",
            "channel": AMER,
            "settled_as": "sent",
            "settled_by": "ann",
        }.items()
    )


def test_what_was_never_in_doubt_is_refused(service: RunningService, source: str, slack: RunningMock) -> None:
    """With the state that it is in; and an alert that is not there is not found."""
    slack.script(AMER, Step(status=404))
    run = service.run(source)
    states = {alert["outcome"]: alert["alert_id"] for alert in run["sample_alerts"]}
    for outcome in ("failed", "sent"):
        status, refused = _settle(service, states[outcome], **{"as": "sent"})
        assert (status, refused["error"]) == (409, "not_in_doubt")
        assert refused["detail"].endswith(f"it is {outcome}")
    status, refused = _settle(service, "nobody", **{"as": "sent"})
    assert (status, refused["error"]) == (404, "alert_not_found")
    assert service.client.get("/alerts/nobody").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"as": "unknown"},
        {"as": None},
        {"settle_as": "sent"},
        {"as": "sent", "notes": "x"},
        {"as": "sent", "by": ""},
        {"as": "sent", "by": "x" * 201},
        {"as": "sent", "note": "x" * 2001},
    ],
)
def test_a_word_that_is_not_understood_changes_nothing(
    service: RunningService, doubt: dict[str, Any], body: dict[str, Any]
) -> None:
    """It is a 422, and the doubt stands."""
    status, refused = _settle(service, doubt["alert_id"], **body)
    assert (status, refused["error"]) == (422, "invalid_request")
    assert service.get(f"/alerts/{doubt['alert_id']}")["delivery"]["status"] == "unknown"


def test_the_command_settles_one_or_all(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """By its id, or all that a run reports in doubt; who it was is the system's user unless told."""
    variables = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url, "SLACK_CONCURRENCY": "1"}
    arguments = ("run", source, "--month", MONTH, "--json")
    slack.script(AMER, Step(drop="after", times=3))
    run = json.loads(command(tmp_path, *arguments, **variables).stdout)
    assert run["counts"]["unknown"] == 3
    first, *_ = (alert["alert_id"] for alert in run["sample_errors"])

    shown = json.loads(command(tmp_path, "settle", first, "--as", "sent", "--note", "seen", "--json").stdout)
    assert (shown["alert_id"], shown["status"]) == (first, "sent")
    assert [(kept["as"], kept["by"], kept["note"]) for kept in shown["settled"]] == [
        ("sent", getpass.getuser(), "seen")
    ]
    every = ("settle", "--run", run["run_id"], "--as", "resend")
    shown = command(tmp_path, *every, "--by", "ann")
    assert shown.returncode == 0, shown.stderr
    assert (shown.stdout.count("pending"), shown.stdout.count(" ann ")) == (2, 2)
    nothing = command(tmp_path, *every)
    assert (nothing.returncode, nothing.stdout) == (0, "None of its alerts is in doubt.\n")
    assert json.loads(command(tmp_path, *every, "--json").stdout) == {"settled": []}
    again = json.loads(command(tmp_path, *arguments, **variables).stdout)
    assert (again["counts"]["alerts_sent"], again["counts"]["skipped_replay"]) == (2, 1)

    refused = command(tmp_path, "settle", first, "--as", "resend")
    assert refused.returncode == 1
    assert "not_in_doubt: the alert is not in doubt: it is sent" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--as", "sent"), "--run"),
        (("x", "--run", "y", "--as", "sent"), "--run"),
        (("x",), "--as"),
        (("x", "--as", "lost"), "lost"),
    ],
)
def test_a_command_that_is_wrong_is_said(tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:
    """It exits with 64 and touches no database."""
    done = command(tmp_path, "settle", *arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert named in done.stderr
    assert not list(tmp_path.rglob("*.db"))
