"""Runs at the same time: one per month over all tasks and processes, and the later ones replay."""

import asyncio
import threading

import pytest

from mock_slack.script import Step
from service.domain.errors import InterruptedRunError
from service.domain.progress import Phase
from service.domain.run import RunStatus
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.room import Turn
from tests.support.house import AMER, House
from tests.support.rows import account, accounts
from tests.support.waiting import until


async def test_the_second_run_of_a_month_waits_and_then_replays(house: House) -> None:
    """Two at once in one process: one sends, the other finds everything sent."""
    source = house.source(accounts(6))
    house.slack.script(AMER, Step(delay_s=0.1, times=6))
    async with house.open(slack_concurrency=1) as desk:
        records = await asyncio.gather(*(desk.run(source) for _ in range(3)))
    assert sorted(record.counts.alerts_sent for record in records) == [0, 0, 6]
    assert sorted(record.counts.skipped_replay for record in records) == [0, 6, 6]
    assert house.slack.stats().total.duplicates == {}


async def test_evaluations_wait_for_each_other(house: House) -> None:
    """Previews and runs of any month alike: the process has memory for one at a time."""
    source = house.source([*accounts(2), *accounts(2, month="2026-02-01")])
    async with house.open() as desk:
        end = threading.Event()
        with desk.app.room.turn() as turn:
            holding = asyncio.create_task(run_in_daemon_thread(_hold, turn, end))
            await until(lambda: turn.users == 2, what="the room is taken")
            waiting = [
                asyncio.create_task(desk.run(source)),
                asyncio.create_task(desk.run(source, month="2026-02-01")),
                asyncio.create_task(desk.run(source, dry_run=True)),
            ]
            preview = asyncio.create_task(desk.preview(source, limit=1))
            await until(lambda: len(desk.app.room._turns) == 5, what="all four wait")
            assert {run.progress.phase for run in desk.app.at_work.runs.values()} == {Phase.WAITING}
            end.set()
            await holding
        records = await asyncio.gather(*waiting)
        assert [record.counts.alerts for record in records] == [2, 2, 2]
        assert (await preview).total == 2


def _hold(turn: Turn, end: threading.Event) -> None:
    with turn.taken(threading.Event()):
        end.wait()


async def test_two_apps_on_one_database_take_turns(house: House) -> None:
    """The lease is in the database, so it holds over processes."""
    source = house.source(accounts(4))
    house.slack.script(AMER, Step(delay_s=0.1, times=4))
    async with house.open(slack_concurrency=1) as one, house.open(slack_concurrency=1) as other:
        records = await asyncio.gather(one.run(source), other.run(source))
    assert sorted(record.counts.alerts_sent for record in records) == [0, 4]
    assert house.slack.stats().total.duplicates == {}


async def test_different_months_run_side_by_side(house: House) -> None:
    """A month that is stuck in a pause does not hold up another."""
    source = house.source([account("a"), account("b", month="2026-02-01", account_region="EMEA")])
    house.slack.script(AMER, Step(status=429, headers={"Retry-After": "100"}))
    async with house.open() as desk:
        slow = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests, what="the first month is under way")
        quick = await desk.run(source, month="2026-02-01")
        assert not slow.done()
        assert quick.counts.alerts_sent == 1
        assert (await slow).counts.alerts_sent == 1


async def test_a_waiting_run_ends_when_the_service_stops(house: House) -> None:
    """It is recorded as interrupted; nothing waits for the other run's sake."""
    source = house.source(accounts(1))
    house.slack.script(AMER, Step(delay_s=30))
    async with house.open(slack_timeout_s=2) as desk:
        first = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests, what="the first run is under way")
        second = asyncio.create_task(desk.run(source))
        await until(lambda: len(desk.app.at_work.runs) == 2, what="the second waits")
        desk.app.at_work.stop()
        (result,) = await asyncio.gather(second, return_exceptions=True)
        assert isinstance(result, InterruptedRunError)
        assert result.run_id is not None
        record = await desk.app.store.history.get_run(result.run_id)
        assert record.status is RunStatus.FAILED
        with pytest.raises(InterruptedRunError):
            await first
