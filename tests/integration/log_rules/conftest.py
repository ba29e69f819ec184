"""Fixtures of the tests of log rules."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mock_slack.running import RunningMock
from tests.support.log_runs import Logs, opened


@pytest.fixture
async def logs(slack: RunningMock, tmp_path: Path) -> AsyncIterator[Logs]:
    """Open the app on a database of its own."""
    async with opened(f"sqlite:///{tmp_path / 'ledger.db'}", slack, tmp_path) as found:
        yield found
