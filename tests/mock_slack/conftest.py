"""Fixtures: a mock for each test that asks for one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mock_slack.server import create_app
from mock_slack.settings import GivenSettings
from tests.mock_slack.harness import FakeClock, Mock


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """Return where the mock of this test logs, in a folder that does not exist yet."""
    return tmp_path / "logs" / "requests.jsonl"


@pytest.fixture
def start_mock(log_path: Path) -> Iterator[Callable[..., Mock]]:
    """Return a function that starts a mock with the settings given, faultless unless they say otherwise."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Mock:
            clock = FakeClock()
            calm: dict[str, Any] = {"fail_rate_429": 0, "fail_rate_500": 0, "log_path": log_path}
            given = GivenSettings(**calm | settings)
            return Mock(stack.enter_context(TestClient(create_app(given, clock=clock, wall=clock))), clock)

        yield start


@pytest.fixture
def mock(start_mock: Callable[..., Mock]) -> Mock:
    """Return a faultless mock."""
    return start_mock()
