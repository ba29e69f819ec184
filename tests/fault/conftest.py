"""A site for each fault test."""

from pathlib import Path

import pytest

from mock_slack.running import RunningMock
from tests.support.site import Site


@pytest.fixture
def site(slack: RunningMock, tmp_path: Path) -> Site:
    """Return a site in which nothing has happened yet."""
    return Site(folder=tmp_path, webhook_base_url=slack.webhook_base_url)
