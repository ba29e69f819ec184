"""Fixtures of the fault tests: a mock Slack in this process, and a site for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_slack.running import RunningMock, running_mock
from tests.conformance.conftest import postgresql_server
from tests.fault.crashing import Site

__all__ = ["postgresql_server"]


@pytest.fixture(scope="session")
def one_slack() -> Iterator[RunningMock]:
    """Run a mock Slack for as long as the tests last."""
    with running_mock() as mock:
        yield mock


@pytest.fixture
def slack(one_slack: RunningMock) -> RunningMock:
    """Return a mock Slack to which nothing has been sent yet."""
    one_slack.reset()
    return one_slack


@pytest.fixture
def site(slack: RunningMock, tmp_path: Path) -> Site:
    """Return a site in which nothing has happened yet."""
    return Site(folder=tmp_path, webhook_base_url=slack.webhook_base_url)
