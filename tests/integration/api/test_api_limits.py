"""So many runs at once and no more: whoever comes beyond that is told when to come again."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mock_slack.running import RunningMock
from tests.support.rows import MONTH, account, write_source
from tests.support.served import RunningService, month_held_elsewhere, running_service, settings
from tests.support.waiting import wait_until


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Listen where nobody answers unless the test does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, slack: RunningMock, silent: socket.socket) -> Iterator[RunningService]:
    """Return a service that does one run at a time, and one preview."""
    given = settings(
        tmp_path,
        slack_webhook_base_url=slack.webhook_base_url,
        max_concurrent_runs=1,
        s3_endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
        s3_anon=True,
        storage_timeout_s=60,
    )
    with running_service(given) as running:
        yield running


@pytest.fixture
def body(tmp_path: Path) -> dict[str, Any]:
    """Return a request for a run with one alert."""
    return {"source_uri": write_source(tmp_path / "a.parquet", [account(1)]), "month": MONTH}


def refused(response: httpx2.Response) -> bool:
    """Tell whether there was no place, and check that it says when to come again."""
    if response.status_code != 429:
        return False
    assert response.json()["error"] == "too_many_runs"
    assert response.json()["run_id"] is None
    assert int(response.headers["Retry-After"]) > 0
    return True


def test_a_run_beyond_the_limit_is_refused(
    service: RunningService, tmp_path: Path, body: dict[str, Any]
) -> None:
    """No run is recorded for it; previews and repeated requests are still answered; then there is room."""
    key = {"Idempotency-Key": "k"}
    with ThreadPoolExecutor() as pool:
        with month_held_elsewhere(tmp_path):
            first = pool.submit(service.client.post, "/runs", json=body, headers=key)
            wait_until(lambda: len(service.get("/runs")["runs"]) == 2)
            again = pool.submit(service.client.post, "/runs", json=body, headers=key)
            assert refused(service.client.post("/runs", json=body))
            assert refused(service.client.post("/runs", json=body | {"dry_run": True}))
            assert service.client.post("/preview", json=body).status_code == 200
        assert (again.result().status_code, again.result().json()) == (200, first.result().json())
    assert len(service.get("/runs")["runs"]) == 2
    assert service.client.post("/runs", json=body).status_code == 200


def test_a_run_keeps_its_place_when_its_client_goes_away(
    service: RunningService, tmp_path: Path, body: dict[str, Any]
) -> None:
    """The run goes on, so its place is taken until it has ended."""
    with month_held_elsewhere(tmp_path):
        with pytest.raises(httpx2.TimeoutException):
            service.client.post("/runs", json=body, timeout=1)
        wait_until(lambda: len(service.get("/runs")["runs"]) == 2)
        assert refused(service.client.post("/runs", json=body))
    wait_until(lambda: service.client.post("/runs", json=body).status_code == 200)


@pytest.mark.parametrize("wrong", [{"source_uri": "file:///none"}, {"source_uri": "ftp://x"}])
def test_a_run_that_fails_leaves_its_place(
    service: RunningService, body: dict[str, Any], wrong: dict[str, Any]
) -> None:
    """However it fails, recorded or refused."""
    for _ in range(3):
        assert service.client.post("/runs", json=body | wrong).status_code in {404, 422}
        assert service.client.post("/preview", json=body | wrong).status_code in {404, 422}
    assert service.client.post("/runs", json=body).status_code == 200


def test_a_preview_beyond_the_limit_is_refused(
    service: RunningService, body: dict[str, Any], silent: socket.socket
) -> None:
    """Previews have places of their own: a run is possible meanwhile."""
    slow = body | {"source_uri": "s3://bucket/a.parquet"}
    with ThreadPoolExecutor() as pool:
        first = pool.submit(service.client.post, "/preview", json=slow)
        with silent.accept()[0]:
            # It is at work: it has come as far as the storage.
            assert refused(service.client.post("/preview", json=body))
            assert service.client.post("/runs", json=body).status_code == 200
            assert not first.done()
        silent.settimeout(0.1)
        while not first.done():
            with suppress(TimeoutError):
                silent.accept()[0].close()
        assert first.result().status_code == 502
    assert service.client.post("/preview", json=body).status_code == 200


def test_a_preview_ends_when_its_client_goes_away(
    service: RunningService, body: dict[str, Any], silent: socket.socket
) -> None:
    """Its place is free again and its threads have ended, although the storage still says nothing."""
    slow = body | {"source_uri": "s3://bucket/a.parquet"}
    with ThreadPoolExecutor() as pool:
        first = pool.submit(service.client.post, "/preview", json=slow, timeout=2)
        with silent.accept()[0]:
            with pytest.raises(httpx2.TimeoutException):
                first.result()
            wait_until(lambda: service.client.post("/preview", json=body).status_code == 200, within_s=20)
            assert not [thread.name for thread in threading.enumerate() if "pinned" in thread.name]


def test_a_repeated_request_ends_when_its_client_goes_away(
    service: RunningService, tmp_path: Path, body: dict[str, Any]
) -> None:
    """The run goes on, and nobody asks the database again and again whether it has ended."""
    key = {"Idempotency-Key": "k"}
    with month_held_elsewhere(tmp_path):
        for _ in range(3):
            with pytest.raises(httpx2.TimeoutException):
                service.client.post("/runs", json=body, headers=key, timeout=1)
        wait_until(lambda: service.requests() == 1, what="only the one that began the run is left")
    assert service.client.post("/runs", json=body, headers=key).status_code == 200
