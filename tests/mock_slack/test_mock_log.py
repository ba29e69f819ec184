"""The log: every request, on file and over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from tests.mock_slack.harness import Mock, alert


def test_each_request_is_one_json_line(mock: Mock, log_path: Path) -> None:
    """The file holds the five fields of each request in order, readable while the mock runs."""
    before = datetime.now(UTC)
    mock.post({"text": "line\nbreak", "blocks": [{"type": "divider"}]})
    mock.script({"status": 429, "headers": {"Retry-After": "2"}})
    mock.post({"text": "again"}, "amer")
    first, second = (orjson.loads(line) for line in log_path.read_bytes().splitlines())
    assert before <= datetime.fromisoformat(first.pop("ts")) <= datetime.now(UTC)
    assert first == {
        "channel": "amer",
        "status_code": 200,
        "retry_after": None,
        "payload": {"text": "line\nbreak", "blocks": [{"type": "divider"}]},
    }
    del second["ts"]
    assert second == {"channel": "amer", "status_code": 429, "retry_after": 2, "payload": {"text": "again"}}


def test_logs_are_newest_last_and_limited(mock: Mock) -> None:
    """The limit cuts the oldest away."""
    for number in range(5):
        mock.post({"text": str(number)})
    assert [record.payload for record in mock.records(limit=2)] == [{"text": "3"}, {"text": "4"}]
    assert len(mock.records(limit=100)) == 5


def test_more_than_is_in_memory_comes_from_the_file(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run can be read back whole, and a reset hides what came before it."""
    mock.post({"text": "before"})
    monkeypatch.setattr("mock_slack.log._IN_MEMORY", 3)
    mock.http.post("/reset")
    for number in range(10):
        mock.post({"text": str(number)})
    for limit in (2, 3, 7, 100):
        texts = [record.payload["text"] for record in mock.records(limit) if record.payload]
        assert texts == [str(number) for number in range(10)][-limit:]


def test_a_later_mock_adds_to_the_file_but_shows_only_its_own(
    start_mock: Callable[..., Mock], log_path: Path
) -> None:
    """The file is a history; /logs is about the mock that is asked."""
    start_mock().post({"text": "one"})
    later = start_mock()
    assert later.records() == []
    later.post({"text": "two"})
    assert [record.payload for record in later.records()] == [{"text": "two"}]
    assert len(log_path.read_bytes().splitlines()) == 2


def test_a_body_that_is_no_message_is_kept_as_capped_text(mock: Mock) -> None:
    """What broke can be seen, but not fill the log."""
    mock.post(b'{"text": "\xff' + "é".encode() * 5000)
    record = mock.records()[0]
    assert record.payload is None
    assert record.raw == '{"text": "\ufffd' + "é" * 1989


@pytest.mark.parametrize("limit", ["0", "-1", "100001", "many", "1.5"])
def test_a_bad_limit_is_a_clear_422(mock: Mock, limit: str) -> None:
    """The answer names the parameter."""
    response = mock.http.get("/logs", params={"limit": limit})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["query", "limit"]


def test_reset_forgets_everything_but_the_file(mock: Mock, log_path: Path) -> None:
    """After a reset the mock is as it was after its start."""
    mock.post(alert("a"))
    mock.script({"status": 500})
    assert mock.http.post("/reset").status_code == 204
    assert mock.records() == []
    assert mock.report().channels == {}
    assert mock.report().total.requests == 0
    assert mock.post(alert("a")) == (200, "ok")
    assert mock.counts().duplicates == {}
    assert len(log_path.read_bytes().splitlines()) == 2
