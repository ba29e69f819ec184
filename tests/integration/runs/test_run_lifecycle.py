"""Runs that are resumed, released and cancelled, on a real database before a mock Slack."""

import asyncio
from email import message_from_bytes
from typing import Any

import pytest

from mock_slack.script import Step
from service.domain.errors import CancelledRunError, InterruptedRunError, RunFinishedError, RunNotFoundError
from service.domain.progress import Phase
from service.domain.run import RunStatus
from service.runs.interventions import cancel_run
from service.store.runs.leases import Runs
from tests.support.house import AMER, House, assert_balanced, warning_codes
from tests.support.rows import account, accounts
from tests.support.waiting import until


async def stopped_after(house: House, requests: int, source: str, **settings: Any) -> str:
    """Let a process stop in the middle of a run's deliveries, and return the run's id."""
    async with house.open(slack_concurrency=2, **settings) as desk:
        run = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests >= requests, what="some have left")
        desk.app.at_work.stop()
        with pytest.raises(InterruptedRunError) as raised:
            await run
        released = await desk.app.store.history.get_run(raised.value.run_id or "")
        assert released.status is RunStatus.RELEASED
        return released.run_id


async def test_a_run_that_was_stopped_is_resumed_where_the_outbox_stands(house: House) -> None:
    """The next process sends the rest under the same id, and its books balance over both processes."""
    house.slack.script(AMER, Step(delay_s=0.2, times=10))
    source = house.source([*accounts(10), account("lost", account_region="MARS", arr=20_000)])
    run_id = await stopped_after(house, 3, source)
    before = house.slack.stats().total.requests
    assert before < 10
    async with house.open(resumes=True) as desk:
        record = await desk.ended(run_id)
    assert record.status is RunStatus.SUCCEEDED
    assert_balanced(record)
    assert (record.counts.alerts_sent, record.counts.unknown_region) == (10, 1)
    assert warning_codes(record)["unknown_region"] == 1
    assert house.slack.stats().total.duplicates == {}
    assert len(list((house.folder / "support_notices").iterdir())) == 1


async def test_a_resumed_run_sends_what_was_recorded(house: House) -> None:
    """Its source is not read again: it may be gone."""
    house.slack.script(AMER, Step(delay_s=0.2, times=6))
    source = house.source(accounts(6))
    run_id = await stopped_after(house, 2, source)
    (house.folder / "source.parquet").unlink()
    async with house.open(resumes=True) as desk:
        assert (await desk.ended(run_id)).counts.alerts_sent == 6


async def test_a_resumed_run_keeps_its_deadline(house: House) -> None:
    """Two processes together have as long as one has; the time between them does not count."""
    paced: dict[str, Any] = {"slack_messages_per_second": 1, "delivery_deadline_s": 60}
    run_id = await stopped_after(house, 30, house.source(accounts(90)), **paced)
    before = house.slack.stats().total.requests
    async with house.open(**paced) as desk:
        await desk.app.clock.sleep(100)
    async with house.open(resumes=True, **paced) as desk:
        record = await desk.ended(run_id)
    assert before < record.counts.alerts_sent <= 61
    assert record.counts.unsent == 90 - record.counts.alerts_sent


async def test_who_cannot_send_does_not_resume(house: House) -> None:
    """A service without a webhook leaves the run to one that has one."""
    house.slack.script(AMER, Step(delay_s=0.2, times=6))
    run_id = await stopped_after(house, 2, house.source(accounts(6)))
    async with house.open(resumes=True, slack_webhook_base_url=None, lease_s=100) as desk:
        await desk.app.clock.sleep(200)
        assert (await desk.app.store.history.get_run(run_id)).status is RunStatus.RELEASED
    async with house.open(resumes=True) as desk:
        assert (await desk.ended(run_id)).counts.alerts_sent == 6


async def test_a_run_is_not_resumed_when_it_is_too_old(house: House) -> None:
    """It is closed as interrupted, and what it had not sent is the next run's."""
    house.slack.script(AMER, Step(delay_s=0.2, times=6))
    source = house.source(accounts(6))
    run_id = await stopped_after(house, 2, source)
    async with house.open(resumes=True, resume_within_h=0) as desk:
        record = await desk.ended(run_id)
        assert record.error is not None
        assert (record.status, record.error.code) == (RunStatus.FAILED, "interrupted")
        assert record.counts.unsent == 6 - record.counts.alerts_sent > 0
        again = await desk.run(source)
    assert again.counts.alerts_sent == record.counts.unsent


async def test_support_is_notified_once_of_a_run_that_was_resumed_after_the_notice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had been told before the stop is not told again."""
    finish = Runs.finish

    async def stopped(*_: object, **__: object) -> None:
        raise InterruptedRunError("stopped just before the end")

    monkeypatch.setattr(Runs, "finish", stopped)
    async with house.open() as desk:
        with pytest.raises(InterruptedRunError) as raised:
            await desk.run(house.source([account("lost", account_region="MARS")]))
    (notice,) = (house.folder / "support_notices").iterdir()
    assert message_from_bytes(notice.read_bytes())["To"]
    notice.unlink()
    monkeypatch.setattr(Runs, "finish", finish)
    async with house.open(resumes=True) as desk:
        record = await desk.ended(raised.value.run_id or "")
    assert record.status is RunStatus.SUCCEEDED
    assert not notice.exists()


async def test_a_cancelled_run_lets_nothing_more_leave(house: House) -> None:
    """What is on its way is settled, the rest stays for the next run, and nobody resumes it."""
    house.slack.script(AMER, Step(delay_s=0.2, times=20))
    source = house.source(accounts(20))
    async with house.open(slack_concurrency=2) as desk:
        run = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests >= 3, what="some have left")
        (run_id,) = desk.app.at_work.runs
        await cancel_run(desk.app, run_id)
        with pytest.raises(CancelledRunError) as raised:
            await run
        assert raised.value.run_id == run_id
        record = await desk.app.store.history.get_run(run_id)
        assert record.error is not None
        assert (record.status, record.error.code) == (RunStatus.FAILED, "cancelled")
        sent = record.counts.alerts_sent
        assert sent == house.slack.stats().total.accepted < 20
        assert (record.counts.unknown, record.counts.unsent) == (0, 20 - sent)
        with pytest.raises(RunFinishedError):
            await cancel_run(desk.app, run_id)
    async with house.open(resumes=True) as desk:
        assert await desk.app.store.rescue.resumable(since=record.started_at, kinds=desk.app.kinds) == []
        again = await desk.run(source)
    assert (again.counts.alerts_sent, again.counts.skipped_replay) == (20 - sent, sent)


async def test_a_run_is_cancelled_from_another_process(house: House) -> None:
    """Its next claim is refused, though nobody told it anything."""
    house.slack.script(AMER, Step(delay_s=0.1, times=30))
    source = house.source(accounts(30))
    async with house.open(slack_concurrency=2) as desk, house.open() as other:
        run = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests >= 3, what="some have left")
        (run_id,) = desk.app.at_work.runs
        await cancel_run(other.app, run_id)
        with pytest.raises(CancelledRunError):
            await run
        assert (await other.app.store.history.get_run(run_id)).counts.unsent > 0


async def test_a_run_that_waits_for_its_month_can_be_cancelled(house: House) -> None:
    """Whoever holds the month does not notice."""
    house.slack.script(AMER, Step(delay_s=0.5, times=4))
    source = house.source(accounts(4))
    async with house.open(slack_concurrency=1) as desk:
        first = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests, what="the first run is under way")
        (holder,) = desk.app.at_work.runs
        second = asyncio.create_task(desk.run(source))
        await until(
            lambda: any(run.progress.phase is Phase.WAITING for run in desk.app.at_work.runs.values()),
            what="the second waits",
        )
        (waiter,) = desk.app.at_work.runs.keys() - {holder}
        await cancel_run(desk.app, waiter)
        with pytest.raises(CancelledRunError):
            await second
        assert (await first).counts.alerts_sent == 4


async def test_a_dead_run_is_cancelled_at_once(house: House) -> None:
    """Nobody has to resume it first."""
    house.slack.script(AMER, Step(delay_s=0.2, times=6))
    run_id = await stopped_after(house, 2, house.source(accounts(6)))
    async with house.open() as desk:
        await cancel_run(desk.app, run_id)
        record = await desk.app.store.history.get_run(run_id)
        assert record.error is not None
        assert (record.status, record.error.code) == (RunStatus.FAILED, "cancelled")


async def test_only_what_there_is_can_be_cancelled(house: House) -> None:
    """An id that no run has is said to be one, whatever is in it."""
    async with house.open() as desk:
        for nothing in ("no such run", "nul\0"):
            with pytest.raises(RunNotFoundError):
                await cancel_run(desk.app, nothing)


async def test_a_stop_does_not_wait_for_slack_beyond_its_grace(house: House) -> None:
    """What is not answered within the grace is in doubt, and the process ends in time."""
    house.slack.script(AMER, Step(delay_s=60, times=2))
    async with house.open(slack_concurrency=2, slack_timeout_s=300, shutdown_grace_s=40) as desk:
        run = asyncio.create_task(desk.run(house.source(accounts(5))))
        await until(lambda: house.slack.stats().total.requests == 2, what="two are on their way")
        began = house.clock.monotonic()
        desk.app.at_work.stop()
        with pytest.raises(InterruptedRunError) as raised:
            await run
        assert house.clock.monotonic() - began < 200
        counts = (await desk.app.store.history.get_run(raised.value.run_id or "")).counts
    assert (counts.unknown, counts.alerts_sent) == (2, 0)
