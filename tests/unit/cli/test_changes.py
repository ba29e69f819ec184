"""The last lines of a run: what it changed, for a person at a terminal."""

import pytest

from service.api.schemas.evaluation import ChangesOut
from service.cli.lifecycle.changes import print_changes
from service.domain.lifecycle.run_changes import ChangeKind, RunChanges, SubjectChange


def _changes(*changes: SubjectChange) -> ChangesOut:
    return ChangesOut.first(RunChanges(run_id="r", period="2026-02-01", changes=changes), 10)


def _change(kind: ChangeKind, subject: str, route: str | None, arr: int | None) -> SubjectChange:
    return SubjectChange(change=kind, alert_id="0" * 32, subject=subject, name=None, route=route, arr=arr)


def test_each_region_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Kinds that do not occur have no column; who goes on is counted and not named."""
    changes = _changes(
        _change(ChangeKind.NEW, "n", "AMER", 1_000),
        _change(ChangeKind.NEW, "m\x1b[2J", None, None),
        _change(ChangeKind.CONTINUING, "c", "AMER", 2_500),
    )
    print_changes(changes)
    shown = capsys.readouterr().out
    head, named = shown.split("For whom")
    assert "Recovered" not in head
    rows = [
        [cell.strip() for cell in line.strip("│┃").split("│")] for line in head.splitlines() if "│" in line
    ]
    assert rows == [
        ["AMER", "1 (ARR 1,000)", "1 (ARR 2,500)"],
        ["null", "1 (ARR 0)", ""],
        ["All", "2 (ARR 1,000)", "1 (ARR 2,500)"],
    ]
    assert "unknown" in named
    assert "\x1b" not in shown


def test_groups_of_a_log_have_no_arr(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no account is listed without the columns of accounts."""
    print_changes(_changes(_change(ChangeKind.RECOVERED, "mobile/burst/com.a", None, None)))
    shown = capsys.readouterr().out
    assert "mobile/burst/com.a" in shown
    assert "About" in shown
    for other in ("ARR", "unknown", "Region", "null"):
        assert other not in shown


def test_groups_of_a_log_with_a_route_have_no_region(capsys: pytest.CaptureFixture[str]) -> None:
    """Their rule names the column that leads them to a channel, which may be any."""
    print_changes(_changes(_change(ChangeKind.NEW, "mobile/burst/com.a", "iOS", None)))
    shown = capsys.readouterr().out
    assert "Route" in shown
    assert "iOS" in shown
    assert "Region" not in shown


def test_nothing_is_said_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A run without alerts ends as it did."""
    print_changes(_changes())
    assert capsys.readouterr().out == ""
