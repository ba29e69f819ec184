"""The demo of a bot shows what it says."""

import pytest

from mock_slack import demo_bot


@pytest.mark.fault
def test_the_demo_of_a_bot_ends_well(capfd: pytest.CaptureFixture[str]) -> None:
    """One lost answer is found, one lost message is sent again, and each alert stands in its channel once."""
    assert demo_bot.main() == 0
    said = capfd.readouterr().out
    assert "sent by reconciler, found in C0" in said
    assert "Slack is answered 200, the alert is acknowledged by slack:U0ANN" in said
    assert "👀 Acknowledged by <@U0ANN> at 20" in said
    assert "resend by reconciler, not in the channel's history" in said
