"""Events: a run seen while it works, in this process or in another, and how it ends when the service does."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.rows import accounts, write_source
from tests.support.served import RunningService, running_service, settings
from tests.support.waiting import wait_until

Event = tuple[str, dict[str, Any]]


pytestmark = pytest.mark.serves(slack_concurrency=1, slack_timeout_s=5, lease_s=7)


@pytest.fixture
def run(service: RunningService, slack: RunningMock, tmp_path: Path) -> Iterator[str]:
    """Start a run that takes about a second, and return its id while it is at work."""
    slack.script("amer-risk-alerts", Step(delay_s=0.8))
    source = write_source(tmp_path / "a.parquet", accounts(5))
    posting = threading.Thread(target=service.run, args=(source,))
    posting.start()
    wait_until(lambda: any(run["progress"] for run in _listed(service)))
    yield _listed(service)[0]["run_id"]
    posting.join()


def _listed(service: RunningService) -> list[dict[str, Any]]:
    return [service.get(f"/runs/{run['run_id']}") for run in service.get("/runs")["runs"]]


def _events(client: httpx2.Client, run_id: str) -> Iterator[Event]:
    with client.stream("GET", f"/runs/{run_id}/events") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def _check_story(events: list[Event]) -> None:
    assert [name for name, _ in events[:-1]] == ["progress"] * (len(events) - 1)
    assert len(events) >= 2
    last_seen = events[-2][1]
    assert (last_seen["phase"], last_seen["alerts_queued"]) == ("delivering", 5)
    assert last_seen["row_groups_done"] == last_seen["row_groups_total"] >= 1
    name, record = events[-1]
    assert (name, record["status"], record["progress"]) == ("run", "succeeded", None)
    assert record["counts"]["alerts_sent"] == 5


def test_a_run_can_be_followed(service: RunningService, run: str) -> None:
    """Its progress as it changes, then the record with which it ended."""
    _check_story(list(_events(service.client, run)))


def test_a_run_of_another_process_can_be_followed(service: RunningService, run: str, tmp_path: Path) -> None:
    """What it does is seen through the database that both share."""
    assert service.app.at_work.runs
    with running_service(settings(tmp_path)) as other:
        events = list(_events(other.client, run))
    assert (events[-1][0], events[-1][1]["status"]) == ("run", "succeeded")
    assert events[-1][1]["counts"]["alerts_sent"] == 5


def test_a_finished_run_is_reported_at_once(service: RunningService, run: str) -> None:
    """Its stream is its record."""
    wait_until(lambda: service.get(f"/runs/{run}")["status"] == "succeeded")
    [(name, record)] = _events(service.client, run)
    assert (name, record) == ("run", service.get(f"/runs/{run}"))
