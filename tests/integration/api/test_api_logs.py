"""Runs over logs by HTTP: a union on `kind`, beside months as they were."""

from pathlib import Path
from typing import Any, Final

import pytest

from mock_slack.running import RunningMock
from tests.support.log_files import NOON, log_row, write_csv
from tests.support.served import RunningService, running_service, settings

RULES: Final = """
[[rules]]
id = "burst"
title = "{peak} fatal: {group}"
where = {severity = ["fatal"]}
group_by = ["bundle_id"]
threshold = {gt = 2}
window = "1m"
channel = "on-call"
"""


@pytest.fixture
def body(tmp_path: Path) -> dict[str, Any]:
    """Write a log and its rules, and return a request."""
    (tmp_path / "mobile.toml").write_text(RULES, encoding="utf-8")
    (tmp_path / "broken.toml").write_text("[[rules]]\nid = 7\n", encoding="utf-8")
    log = write_csv(tmp_path / "log.csv", [log_row(second, bundle="com.a") for second in range(5)])
    day = NOON.date().isoformat()
    return {
        "kind": "log_rules",
        "rules": "mobile",
        "source_uri": log.as_uri(),
        "from": f"{day}T00:00:00",
        "until": f"{day}T23:00:00+00:00",
    }


def test_a_log_is_previewed_run_listed_and_cancelled_like_any_run(
    tmp_path: Path, slack: RunningMock, body: dict[str, Any]
) -> None:
    """Its month is null, its alerts have their own facts, and what cannot be used is refused by name."""
    given = settings(tmp_path, slack_webhook_base_url=slack.webhook_base_url, rules_folder=tmp_path)
    with running_service(given) as service:
        _check_answers(service, body)
        _check_refusals(service, body)
    (message,) = slack.records()
    assert message.channel == "on-call"


def test_an_answer_names_the_channel_that_an_alert_went_to(
    tmp_path: Path, slack: RunningMock, body: dict[str, Any]
) -> None:
    """Where the group's route led, which no rule names; and where it was sent, whatever the rule says now."""
    routed = RULES.replace('channel = "on-call"', 'route = "bundle_id"')
    renamed = RULES.replace("on-call", "pager")
    given = settings(
        tmp_path,
        slack_webhook_base_url=slack.webhook_base_url,
        rules_folder=tmp_path,
        region_channels={"com.a": "team-a"},
    )
    with running_service(given) as service:
        for rules, later, channel in ((routed, routed, "team-a"), (RULES, renamed, "on-call")):
            asked = body | {"stream": channel}
            (tmp_path / "mobile.toml").write_text(rules)
            first = service.client.post("/runs", json=asked).json()["run_id"]
            (tmp_path / "mobile.toml").write_text(later)
            replay = service.client.post("/runs", json=asked).json()["run_id"]
            (shown,) = service.client.post("/preview", json=asked).json()["alerts"]
            answers = [shown, *(service.get(f"/runs/{run}/alerts")["alerts"][0] for run in (first, replay))]
            assert [answer["channel"] for answer in answers] == [channel] * 3
    assert [record.channel for record in slack.records()] == ["team-a", "on-call"]


def _check_answers(service: RunningService, body: dict[str, Any]) -> None:
    shown = service.client.post("/preview", json=body).json()
    assert (shown["kind"], shown["month"], shown["total"]) == ("log_rules", None, 1)
    (alert,) = shown["alerts"]
    assert (alert["account_id"], alert["month"], alert["details_url"]) == (None, None, None)
    assert alert["message"]["text"].splitlines()[0] == "⚠️ 5 fatal: com.a (burst)"
    digest = shown["plan_digest"]
    started = service.client.post(
        "/runs", json=body | {"plan_digest": digest}, headers={"Idempotency-Key": "one"}
    )
    assert started.status_code == 200, started.text
    again = service.client.post(
        "/runs", json=body | {"plan_digest": digest}, headers={"Idempotency-Key": "one"}
    )
    assert again.json() == started.json()
    run_id = started.json()["run_id"]
    run = service.get(f"/runs/{run_id}")
    named = ("kind", "month", "stream", "from", "until")
    assert [run[name] for name in named] == [
        "log_rules",
        None,
        "mobile",
        "2021-09-12T00:00:00Z",
        "2021-09-12T23:00:00Z",
    ]
    assert (run["counts"]["alerts_sent"], run["counts"]["rows_scanned"]) == (1, 5)
    assert run["ledger"]["rules"]["burst"]["counted"] == 5
    assert run["plan"]["rules"] == "mobile.toml"
    (listed,) = service.get(f"/runs/{run_id}/alerts")["alerts"]
    assert (listed["alert_type"], listed["account_id"], listed["facts"]["group"]) == (
        "log_rule",
        None,
        "com.a",
    )
    one = service.get(f"/alerts/{listed['alert_id']}")
    assert (one["rule_name"], one["subject"]) == ("burst", "mobile/burst/com.a")
    # It was over before the period was.
    assert (one["status"], one["resolution_reason"]) == ("resolved", "recovered")
    (occurrence,) = one["occurrences"]
    assert occurrence["facts"]["peak"] == 5
    csv = service.client.get(f"/runs/{run_id}/alerts", headers={"Accept": "text/csv"}).text.splitlines()
    assert csv[0].endswith(",facts")
    assert '""rule"":""burst""' in csv[1]
    (only,) = service.get("/runs")["runs"]
    assert (only["run_id"], only["month"]) == (run_id, None)
    replay = service.client.post("/runs", json=body).json()["run_id"]
    assert service.get(f"/runs/{replay}")["counts"]["skipped_replay"] == 1


def _check_refusals(service: RunningService, body: dict[str, Any]) -> None:
    refusals = [
        (body | {"kind": "nothing"}, 422, "invalid_request", "body: kind must be account_risk or log_rules"),
        (body | {"kind": ["log_rules"]}, 422, "invalid_request", "kind must be account_risk or log_rules"),
        (body | {"kind": None}, 422, "invalid_request", "kind must be account_risk or log_rules"),
        (body | {"month": "2026-01-01"}, 422, "bad_month", "body.month: Extra inputs are not permitted"),
        (body | {"form": 1}, 422, "invalid_request", "body.form: Extra inputs are not permitted"),
        (body | {"from": 0}, 422, "invalid_request", "body.from: "),
        (body | {"from": "20210912"}, 422, "invalid_request", "body.from: Value error, must be ISO 8601"),
        (body | {"rules": "absent"}, 404, "rules_not_found", "there is no absent.toml in RULES_FOLDER"),
        (body | {"rules": "../mobile"}, 404, "rules_not_found", "RULES_FOLDER"),
        (body | {"rules": "broken"}, 422, "bad_rules", "broken.toml: "),
        (body | {"stream": "A b"}, 422, "bad_rules", "stream must be"),
        (body | {"until": body["from"]}, 422, "bad_period", "from must come before until"),
        (body | {"from": "2021-09-12T00:00:00.5Z"}, 422, "bad_period", "from must be a whole second"),
        (body | {"from": "0001-01-01T00:00:00+14:00"}, 422, "bad_period", "years 1 to 9999"),
        ({"kind": "account_risk", "source_uri": "file:///x"}, 422, "bad_month", "body.month: Field required"),
    ]
    before = len(service.get("/runs")["runs"])
    for path in ("/runs", "/preview"):
        for asked, status, code, detail in refusals:
            answer = service.client.post(path, json=asked)
            assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
            assert detail in answer.json()["detail"]
    assert len(service.get("/runs")["runs"]) == before


def test_without_a_folder_there_are_no_rules(service: RunningService, body: dict[str, Any]) -> None:
    """The answer says what to set."""
    answer = service.client.post("/runs", json=body)
    assert (answer.status_code, answer.json()["error"]) == (404, "rules_not_found")
    assert "RULES_FOLDER" in answer.json()["detail"]


def test_a_channel_that_nothing_leads_to(tmp_path: Path, slack: RunningMock, body: dict[str, Any]) -> None:
    """Where each channel has a webhook of its own, a rule with another one is refused before a run."""
    names = ("amer-risk-alerts", "apac-risk-alerts", "emea-risk-alerts")
    webhooks = {name: f"{slack.webhook_base_url}/{name}" for name in names}
    given = settings(tmp_path, slack_webhook_base_url=None, slack_webhooks=webhooks, rules_folder=tmp_path)
    with running_service(given) as service:
        for path in ("/runs", "/preview"):
            answer = service.client.post(path, json=body)
            assert (answer.status_code, answer.json()["error"]) == (422, "bad_rules")
            assert "rules.0.channel: SLACK_WEBHOOKS has no webhook for on-call" in answer.json()["detail"]
        assert service.get("/runs")["runs"] == []
