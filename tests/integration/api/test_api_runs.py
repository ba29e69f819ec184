"""Runs over HTTP, against a mock Slack that listens and a database that is a file."""

import socket
from pathlib import Path
from typing import Any

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.rows import MONTH, account, accounts, write_source
from tests.support.served import RunningService
from tests.support.waiting import wait_until


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Return a source with three alerts to send and one without a channel."""
    return write_source(
        tmp_path / "accounts.parquet",
        [
            account(1),
            account(2, account_region="EMEA"),
            account(3, account_region="LATAM"),
            account(4, account_name="<!channel> & Söhne", renewal_date=None, account_owner=None),
            account(5, status="Healthy"),
            account(6, arr=9_999),
            account(7, arr=None),
        ],
    )


def _sent(slack: RunningMock) -> list[str]:
    return [str(record.payload) for record in slack.records() if record.status_code == 200]


def test_a_run_delivers_and_reports_everything(
    service: RunningService, source: str, slack: RunningMock
) -> None:
    """POST /runs answers when the alerts have gone out; the run then has every number."""
    run = service.run(source)
    assert run["status"] == "succeeded"
    assert (run["source_uri"], run["month"], run["dry_run"]) == (source, MONTH, False)
    assert run["started_at"].endswith("Z")
    assert run["finished_at"].endswith("Z")
    assert (run["error"], run["progress"]) == (None, None)
    assert run["counts"] == {
        "rows_scanned": 7,
        "duplicates": 0,
        "alerts": 4,
        "alerts_sent": 3,
        "would_send": 0,
        "skipped_replay": 0,
        "failed_deliveries": 1,
        "unknown_region": 1,
        "unknown": 0,
        "unsent": 0,
        "withdrawn": 0,
        "restated": 0,
        "in_digest": 0,
    }
    assert run["ledger"]["outcomes"] == {"sent": 3, "failed": 1}
    assert run["ledger"]["unknown_arr"] == run["ledger"]["below_threshold"] == 1
    assert [alert["account_id"] for alert in run["sample_alerts"]] == ["a0001", "a0002", "a0003", "a0004"]
    [error] = run["sample_errors"]
    assert (error["account_id"], error["channel"], error["reason"]) == ("a0003", None, "unknown_region")
    assert (error["http_status"], error["attempts"]) == (None, 0)
    assert len(_sent(slack)) == 3


def test_a_preview_shows_what_the_run_then_does(
    service: RunningService, source: str, slack: RunningMock
) -> None:
    """Same set, same order, same messages; and the preview leaves no trace."""
    body = {"source_uri": source, "month": MONTH}
    preview = service.client.post("/preview", json=body).json()
    assert preview["total"] == 4
    assert slack.records() == []
    assert service.get("/runs")["runs"] == []
    actions = {alert["account_id"]: alert["action"] for alert in preview["alerts"]}
    assert actions == {"a0001": "send", "a0002": "send", "a0003": "fail", "a0004": "send"}

    run = service.run(source)
    alerts = service.get(f"/runs/{run['run_id']}/alerts")["alerts"]
    assert [alert["alert_id"] for alert in alerts] == [alert["alert_id"] for alert in preview["alerts"]]
    posted = sorted(str(record.payload) for record in slack.records())
    preview = [alert["message"] for alert in preview["alerts"] if alert["action"] == "send"]
    assert posted == sorted(str(message) for message in preview)
    after = service.client.post("/preview", json=body).json()
    assert [alert["action"] for alert in after["alerts"]] == [
        "skip_replay",
        "skip_replay",
        "fail",
        "skip_replay",
    ]


def test_a_preview_shows_as_many_as_are_asked_for(service: RunningService, source: str) -> None:
    """`limit` shortens the list, never the total or the ledger."""
    body = {"source_uri": source, "month": MONTH}
    preview = service.client.post("/preview?limit=1", json=body).json()
    assert (len(preview["alerts"]), preview["total"], preview["counts"]["alerts"]) == (1, 4, 4)
    assert service.client.post("/preview?limit=0", json=body).json()["alerts"] == []


@pytest.mark.parametrize("word", ["current", "previous"])
def test_a_month_may_be_said_in_words(service: RunningService, tmp_path: Path, word: str) -> None:
    """`current` and `previous` are resolved before anything else, and echoed as the month they are."""
    today = service.app.clock.now().date()
    month = today.replace(day=1)
    if word == "previous":
        month = (
            month.replace(year=month.year - 1, month=12)
            if month.month == 1
            else month.replace(month=month.month - 1)
        )
    source = write_source(tmp_path / "now.parquet", [account(1, month=month.isoformat())])
    assert service.run(source, month=word, dry_run=True)["month"] == month.isoformat()


def test_the_run_goes_on_when_its_client_goes_away(
    service: RunningService, source: str, slack: RunningMock
) -> None:
    """A client that hangs up in mid-run takes nothing with it."""
    slack.script("amer-risk-alerts", Step(delay_s=0.3))
    body = f'{{"source_uri": "{source}", "month": "{MONTH}"}}'
    url = service.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        head = "POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        wait_until(lambda: bool(service.get("/runs")["runs"]))
    wait_until(lambda: service.get("/runs")["runs"][0]["status"] == "succeeded")
    assert service.get("/runs")["runs"][0]["counts"]["alerts_sent"] == 3


def test_runs_are_listed_page_by_page(service: RunningService, source: str) -> None:
    """Newest first, every run once, whatever the size of the pages."""
    ids = [service.run(source, dry_run=True)["run_id"] for _ in range(5)]
    listed: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.get("/runs", limit=2, **cursor)
        listed += [run["run_id"] for run in page["runs"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(listed) == 5
    assert set(listed) == set(ids)


def test_runs_are_listed_by_month_and_status(service: RunningService, source: str, tmp_path: Path) -> None:
    """The filters keep what they name."""
    good = service.run(source)["run_id"]
    missing = {"source_uri": (tmp_path / "none.parquet").as_uri(), "month": "2025-12-01"}
    bad = service.client.post("/runs", json=missing).json()["run_id"]
    assert [run["run_id"] for run in service.get("/runs", month=MONTH)["runs"]] == [good]
    assert [run["run_id"] for run in service.get("/runs", status="failed")["runs"]] == [bad]
    assert service.get("/runs", month=MONTH, status="failed")["runs"] == []
    assert service.get("/runs", kind="outbox")["runs"] == []


def test_the_alerts_of_a_run_can_be_searched(service: RunningService, source: str) -> None:
    """By outcome, by region, and page by page in the order in which they are sent."""
    path = f"/runs/{service.run(source)['run_id']}/alerts"
    assert [alert["account_id"] for alert in service.get(path, outcome="failed")["alerts"]] == ["a0003"]
    assert [alert["account_id"] for alert in service.get(path, region="EMEA")["alerts"]] == ["a0002"]
    first = service.get(path, limit=3)
    rest = service.get(path, limit=3, cursor=first["next_cursor"])
    ids = [alert["account_id"] for alert in first["alerts"] + rest["alerts"]]
    assert ids == ["a0001", "a0002", "a0003", "a0004"]
    assert rest["next_cursor"] is None


def test_alerts_have_the_types_that_the_specification_gives(service: RunningService, source: str) -> None:
    """Whole amounts, ISO dates, null for what is unknown."""
    [alert] = service.get(f"/runs/{service.run(source)['run_id']}/alerts", region="AMER", limit=1)["alerts"]
    assert (alert["arr"], type(alert["arr"])) == (999_999, int)
    assert (alert["month"], alert["risk_start_month"], alert["renewal_date"]) == (MONTH, MONTH, "2026-09-01")
    assert (alert["duration_months"], alert["duration_is_minimum"]) == (1, False)
    assert len(alert["alert_id"]) == 32
    assert (alert["outcome"], alert["http_status"], alert["attempts"]) == ("sent", 200, 1)


def test_a_restated_alert_is_reported(service: RunningService, tmp_path: Path) -> None:
    """The run, its list of alerts and the preview show what was sent, and what it would be now."""
    source = write_source(tmp_path / "restated.parquet", accounts(3))
    service.run(source)
    write_source(tmp_path / "restated.parquet", [account(0), account(1, arr=None), account(2, arr=55_555)])
    body = {"source_uri": source, "month": MONTH}
    preview = service.client.post("/preview", json=body).json()
    run = service.run(source)
    assert (run["counts"]["restated"], run["counts"]["withdrawn"], preview["counts"]["withdrawn"]) == (
        1,
        1,
        1,
    )
    listed = service.get(f"/runs/{run['run_id']}/alerts", restated=True)["alerts"]
    assert [alert["account_id"] for alert in listed] == ["a0002"]
    of_logs = dict.fromkeys(("last", "peak", "events", "episodes"))
    restated = {"arr": [999_998, 55_555], "duration_months": None} | of_logs
    assert run["sample_restated"] == listed
    assert listed[0]["restated"] == restated
    assert {alert["account_id"]: alert["restated"] for alert in preview["alerts"]} == {
        "a0000": None,
        "a0002": restated,
    }
    assert [gone["account_id"] for gone in preview["withdrawn"]] == ["a0001"]
    assert len(service.get(f"/runs/{run['run_id']}/alerts")["alerts"]) == 2


def test_what_a_run_changed(service: RunningService, source: str) -> None:
    """The totals count all accounts, the list has the first of each kind; no such run is a 404."""
    run_id = service.run(source)["run_id"]
    changes = service.get(f"/runs/{run_id}/changes", limit=1)
    assert (changes["run_id"], changes["month"]) == (run_id, "2026-01-01")
    assert [(one["region"], one["change"], one["accounts"]) for one in changes["totals"]] == [
        ("AMER", "new", 2),
        ("EMEA", "new", 1),
        ("LATAM", "new", 1),
    ]
    assert [(one["change"], one["account_id"]) for one in changes["changes"]] == [("new", "a0001")]
    assert service.client.get("/runs/nobody/changes").status_code == 404
    assert service.client.get(f"/runs/{run_id}/changes?limt=2").status_code == 422
