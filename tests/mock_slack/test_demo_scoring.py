"""The demo of scoring shows what it says."""

import pytest

from mock_slack import demo_scoring


def test_the_demo_of_scoring_ends_well(capfd: pytest.CaptureFixture[str]) -> None:
    """One message for the one company at high risk, none for the whole file once more, and an end."""
    assert demo_scoring.main() == 0
    said = capfd.readouterr().out
    assert "one is HIGH: " in said
    assert "201 rows = 0 scored + 0 abstained + 201 duplicate + 0 invalid" in said
    assert said.count("🏦 High default risk:") == 1
    assert "the alert is resolved: recovered" in said
