"""The house in which the tutorial takes place."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_slack.running import running_mock
from tests.support.clocks import ScaledClock
from tests.support.delivering import FAST, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Return an empty folder, a mock Slack, and a clock that does not keep us waiting."""
    with running_mock() as slack:
        yield House(folder=tmp_path, slack=slack, clock=ScaledClock(FAST))
