"""Fixtures of the tests that deliver: one mock Slack for all, an empty folder and database for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_slack.running import RunningMock, running_mock
from tests.support.clocks import ScaledClock
from tests.support.delivering import FAST, House


@pytest.fixture(scope="session")
def fast_clock() -> ScaledClock:
    """Return the clock that the service and the mock share: an hour's pause takes a minute and a half."""
    return ScaledClock(FAST)


@pytest.fixture(scope="session")
def one_slack(fast_clock: ScaledClock) -> Iterator[RunningMock]:
    """Run a mock Slack for as long as the tests last."""
    with running_mock(clock=fast_clock.monotonic) as mock:
        yield mock


@pytest.fixture
def house(one_slack: RunningMock, fast_clock: ScaledClock, tmp_path: Path) -> House:
    """Return a house in which nothing has happened yet."""
    one_slack.reset()
    return House(folder=tmp_path, slack=one_slack, clock=fast_clock)


@pytest.fixture(scope="session")
def timely_slack() -> Iterator[RunningMock]:
    """Run a mock Slack on the machine's own time for as long as the tests last."""
    with running_mock() as mock:
        yield mock


@pytest.fixture
def mock(timely_slack: RunningMock) -> RunningMock:
    """Return a mock Slack, on the machine's own time, to which nothing has been sent yet."""
    timely_slack.reset()
    return timely_slack
