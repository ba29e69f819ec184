"""The life of an alert: the table of its transitions."""

import re
from pathlib import Path

import pytest

from service.domain.lifecycle.alert_status import TRANSITIONS, AlertStatus, AlertStep, end_of

TRIGGERED, ACKNOWLEDGED, RESOLVED = AlertStatus


@pytest.mark.parametrize("start", AlertStatus)
@pytest.mark.parametrize("step", AlertStep)
def test_a_step_leads_to_one_status_or_is_illegal(step: AlertStep, start: AlertStatus) -> None:
    """What the table does not list does not happen; nothing leads back to where it began."""
    ends = [way.end for way in TRANSITIONS if (way.step, way.start) == (step, start)]
    assert ends == ([] if (end := end_of(step, start)) is None else [end])
    assert start not in ends


def test_nobody_works_on_what_is_over_unless_it_is_reopened() -> None:
    """To acknowledge does not un-resolve: only two steps leave `resolved`, and both lead to `triggered`."""
    ways = {(way.step, way.end) for way in TRANSITIONS if way.start is RESOLVED}
    assert ways == {(AlertStep.REOPEN, TRIGGERED), (AlertStep.ALERT_AGAIN, TRIGGERED)}
    assert end_of(AlertStep.ACKNOWLEDGE, RESOLVED) is None


def test_whatever_is_open_can_be_resolved() -> None:
    """A reopened alert is triggered, and can be closed like any other."""
    for start in (TRIGGERED, ACKNOWLEDGED):
        assert end_of(AlertStep.RESOLVE, start) is RESOLVED
        assert end_of(AlertStep.RECOVER, start) is RESOLVED
        assert end_of(AlertStep.WITHDRAW, start) is RESOLVED


def test_the_page_of_alerts_has_the_table() -> None:
    """Row for row, as people read it."""
    page = (Path(__file__).parents[4] / "docs" / "alerts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)`: (.+) \| `(\w+)` \|$", page, re.MULTILINE)
    assert rows == [(way.start, way.step, way.when, way.end) for way in TRANSITIONS]
