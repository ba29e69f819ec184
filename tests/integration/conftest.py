"""Fixtures of the integration tests: the served API, sources, storage emulators."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_slack.running import RunningMock
from tests.support.emulators import Emulator, running_gcs, running_s3
from tests.support.rows import accounts, write_source
from tests.support.served import RunningService, running_service, settings


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Return the URI of a source with three alerts of one channel."""
    return write_source(tmp_path / "accounts.parquet", accounts(3))


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path, slack: RunningMock) -> Iterator[RunningService]:
    """Serve the API before the mock Slack on a fresh database, as `pytest.mark.serves` has its settings."""
    marker = request.node.get_closest_marker("serves")
    changes = marker.kwargs if marker else {}
    with running_service(
        settings(tmp_path, slack_webhook_base_url=slack.webhook_base_url, **changes)
    ) as running:
        yield running


@pytest.fixture
def hanging() -> Iterator[str]:
    """Listen where nobody ever answers; returns the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="session")
def gcs() -> Iterator[Emulator]:
    """Run an emulator of Google Cloud Storage for as long as the tests last."""
    with running_gcs() as running:
        yield running


@pytest.fixture(scope="session")
def s3() -> Iterator[Emulator]:
    """Run an emulator of S3 for as long as the tests last."""
    with running_s3() as running:
        yield running


@pytest.fixture(params=["gcs", "s3"])
def emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Return an emulator that breaks nothing, with credentials for it: the test runs once for each."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-SECRET-4711")
    running: Emulator = request.getfixturevalue(request.param)
    running.reset()
    return running


@pytest.fixture
def bucket(emulator: Emulator) -> str:
    """Name a bucket that no other test uses."""
    return emulator.new_bucket()
