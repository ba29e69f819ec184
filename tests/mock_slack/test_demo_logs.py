"""The demo of logs shows what it says."""

import pytest

from mock_slack import demo_logs


@pytest.mark.fault
def test_the_demo_of_logs_ends_well(capfd: pytest.CaptureFixture[str]) -> None:
    """Two days, a burst over midnight that neither has alone, each message once, and silent replays."""
    assert demo_logs.main() == 0
    said = capfd.readouterr().out
    assert said.count("neither day has enough") == 2
    assert "the replays sent nothing" in said
