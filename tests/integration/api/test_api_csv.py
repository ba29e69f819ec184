"""The alerts of a run as a person's spreadsheet gets them."""

import csv
import io
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.api import csv_alerts
from tests.support.rows import account, write_source
from tests.support.served import RunningService


@pytest.fixture
def path(service: RunningService, tmp_path: Path) -> str:
    """Return the path of the alerts of a dry run over seven accounts, one of them without a channel."""
    rows = [account(number) for number in range(5)]
    rows += [account(5, account_name='=HYPERLINK("x"), "y"', account_owner=None)]
    rows += [account(6, account_region="LATAM", account_name="Zoë\r\nGmbH")]
    return f"/runs/{service.run(write_source(tmp_path / 'a.parquet', rows), dry_run=True)['run_id']}/alerts"


def fetched(service: RunningService, path: str, **params: Any) -> httpx2.Response:
    """Ask for CSV."""
    return service.client.get(path, params=params, headers={"Accept": "text/csv"})


def rows(response: httpx2.Response) -> list[dict[str, str]]:
    """Read an answer as CSV."""
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8"), newline=""), strict=True))


@pytest.mark.parametrize("page", [1, 3, 7, 500])
def test_all_alerts_come_in_one_answer(
    service: RunningService, path: str, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages that takes: the rows, the columns and the order of the JSON."""
    monkeypatch.setattr(csv_alerts, "PAGE", page)
    from_csv, alerts = rows(fetched(service, path)), service.get(path)["alerts"]
    assert len(from_csv) == len(alerts) == 7
    for row, alert in zip(from_csv, alerts, strict=True):
        assert list(row) == list(alert)
        assert row["account_id"] == alert["account_id"]
        assert row["arr"] == str(alert["arr"])
    assert from_csv[5]["account_name"] == '\'=HYPERLINK("x"), "y"'
    assert from_csv[6]["account_name"] == "Zoë\r\nGmbH"
    assert (from_csv[5]["account_owner"], from_csv[6]["channel"]) == ("", "")


@pytest.mark.parametrize("page", [2, 500])
def test_filters_hold_and_a_limit_counts_where_it_is_given(
    service: RunningService, path: str, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in JSON; without a limit there is none."""
    monkeypatch.setattr(csv_alerts, "PAGE", page)
    assert [row["account_id"] for row in rows(fetched(service, path, outcome="failed"))] == ["a0006"]
    assert len(rows(fetched(service, path, region="AMER"))) == 6
    assert rows(fetched(service, path, region="nowhere")) == []
    assert [row["account_id"] for row in rows(fetched(service, path, limit=3))] == ["a0000", "a0001", "a0002"]
    cursor = service.get(path, limit=4)["next_cursor"]
    assert [row["account_id"] for row in rows(fetched(service, path, cursor=cursor))] == [
        "a0004",
        "a0005",
        "a0006",
    ]


def test_it_is_a_file_to_be_saved(service: RunningService, path: str) -> None:
    """Named after its run; and a cache tells it from the JSON."""
    response = fetched(service, path)
    assert (
        response.headers["Content-Disposition"] == f'attachment; filename="alerts-{path.split("/")[2]}.csv"'
    )
    assert response.headers["Vary"] == service.client.get(path).headers["Vary"] == "Accept"


def test_errors_have_the_shape_of_all_errors(service: RunningService, path: str) -> None:
    """Before a line of CSV, with their status and in JSON."""
    for where, params, status, code in (
        ("/runs/none/alerts", {}, 404, "run_not_found"),
        (path, {"cursor": "none"}, 422, "bad_cursor"),
        (path, {"limit": 0}, 422, "invalid_request"),
    ):
        response = fetched(service, where, **params)
        assert (response.status_code, response.json()["error"]) == (status, code)


def test_whoever_does_not_ask_for_csv_gets_json(service: RunningService, path: str) -> None:
    """Browsers and scripts that take anything included."""
    for accept in ("*/*", "application/json", "text/html,*/*;q=0.8"):
        response = service.client.get(path, headers={"Accept": accept})
        assert response.headers["Content-Type"] == "application/json"
