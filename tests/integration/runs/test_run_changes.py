"""After a run: who is new, who goes on, who recovered, came back or is gone, with what they pay."""

import pytest

from service.domain.errors import RunNotFoundError
from service.domain.lifecycle.run_changes import ChangeKind, RunChanges
from service.domain.run import RunRecord
from tests.support.given import Given
from tests.support.house import Desk, House
from tests.support.rows import account

FEB = "2026-02-01"


async def _changes(desk: Desk, run: RunRecord) -> RunChanges:
    return await desk.app.store.changes.of_run(run.run_id)


def _said(changes: RunChanges) -> list[tuple[str, str, int | None]]:
    return [(one.change, one.subject, one.arr) for one in changes.changes]


async def test_a_run_says_what_it_changed(house: House) -> None:
    """By kind and ARR, with totals for each region; and it says the same after later runs."""
    january = [
        account("stays", arr=70_000),
        account("heals", arr=60_000, account_region="EMEA"),
        account("closed", arr=50_000),
        account("taken", arr=40_000, account_region=None),
    ]
    february = [
        account("stays", month=FEB, arr=71_000),
        account("heals", month=FEB, arr=61_000, status="Healthy"),
        account("closed", month=FEB, arr=51_000),
        account("new", month=FEB, arr=90_000, account_region="EMEA"),
        account("newer", month=FEB, arr=10_000),
    ]
    source = house.source([*january, *february])
    async with house.open() as desk:
        first = await desk.run(source)
        assert _said(await _changes(desk, first)) == [
            ("new", "stays", 70_000),
            ("new", "heals", 60_000),
            ("new", "closed", 50_000),
            ("new", "taken", 40_000),
        ]
        await Given(desk.app.store).sql(
            "UPDATE alerts SET status = 'resolved', resolution_reason = 'person' WHERE subject = 'closed'"
        )
        second = await desk.run(source, month=FEB)
        expected = [
            ("new", "new", 90_000),
            ("new", "newer", 10_000),
            ("reopened", "closed", 51_000),
            ("continuing", "stays", 71_000),
            ("recovered", "heals", 60_000),
        ]
        changes = await _changes(desk, second)
        assert _said(changes) == expected
        assert [(one.route, str(one.change), one.count, one.arr) for one in changes.totals()] == [
            ("AMER", "new", 1, 10_000),
            ("AMER", "reopened", 1, 51_000),
            ("AMER", "continuing", 1, 71_000),
            ("EMEA", "new", 1, 90_000),
            ("EMEA", "recovered", 1, 60_000),
        ]
        assert [one.subject for one in changes.first(1)] == ["new", "closed", "stays", "heals"]
        january[3] |= {"status": "Healthy"}
        assert house.source([*january, *february]) == source
        third = await desk.run(source)
        assert _said(await _changes(desk, third)) == [
            ("continuing", "stays", 70_000),
            ("continuing", "heals", 60_000),
            ("continuing", "closed", 50_000),
            ("withdrawn", "taken", 40_000),
        ]
        replay = await desk.run(source, month=FEB)
        assert {one.change for one in (await _changes(desk, replay)).changes} == {ChangeKind.CONTINUING}
        assert _said(await _changes(desk, second)) == expected


async def test_what_changed_nothing_says_nothing(house: House) -> None:
    """A dry run changes nothing, and a run that nobody knows has no answer."""
    source = house.source([account("a")])
    async with house.open() as desk:
        rehearsal = await desk.run(source, dry_run=True)
        assert _said(await _changes(desk, rehearsal)) == []
        with pytest.raises(RunNotFoundError):
            await desk.app.store.changes.of_run("nobody\0")
