"""The database under a run: locked, read-only, failing; and the stop in mid-delivery."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from mock_slack.script import Step
from service.account_risk.kind import month_request
from service.domain.errors import (
    CancelledRunError,
    DatabaseUnusableError,
    InterruptedRunError,
    OvertakenError,
)
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.run import RunStatus
from service.domain.source_uri import SourceUri
from service.runs.interventions import cancel_run
from service.runs.preview import preview
from service.runs.sweep import rescue_runs
from service.store.database import database
from service.store.database.failures import DatabaseBusyError, DatabaseUnavailableError
from service.store.history import History
from service.store.outbox.record import Recording
from service.store.outbox.send import Outbox
from service.store.runs.leases import Runs
from service.telemetry.delivery_events import AlertSettled
from service.telemetry.events import Event, Events
from tests.support.clocks import ScaledClock
from tests.support.house import AMER, EMEA, House
from tests.support.rows import MONTH, account, accounts
from tests.support.waiting import PATIENCE_S, until

PARTS = {"runs": Runs, "recording": Recording, "outbox": Outbox, "history": History}
WRITING_VERBS = (
    "runs.begin",
    "runs.acquire_lease",
    "runs.note_evaluation",
    "recording.record",
    "outbox.settle_and_claim",
    "outbox.end_lane",
    "runs.finish",
)
READING_VERBS = ("outbox.pending", "outbox.undelivered", "history.get_run", "history.alerts_without_channel")
AWAY = DatabaseUnavailableError("the database cannot be used: its server restarts")


async def test_a_database_locked_in_mid_run_is_waited_for(house: House) -> None:
    """Another process holds the write lock for a while: the run completes as if nothing had been."""
    source = house.source(accounts(20))
    async with house.open(slack_concurrency=2) as desk:
        run = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests, what="the first alert has left")
        lock = sqlite3.connect(house.database, timeout=30, isolation_level=None, check_same_thread=False)
        with closing(lock) as other:
            # Not on the event loop, which the transaction that holds the lock now may need.
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            held_back = house.slack.stats().total.requests
            await house.clock.sleep(20)
            # What was claimed before may still leave; nothing is claimed meanwhile.
            assert house.slack.stats().total.requests <= held_back + 2
            other.execute("ROLLBACK")
        record = await run
    assert record.counts.alerts_sent == 20
    assert house.slack.stats().total.duplicates == {}


async def test_a_sweep_leaves_alone_what_its_own_process_has_at_work(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is locked for longer than the lease: when the lock is gone, the run goes on."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    house.slack.script(AMER, Step(delay_s=0.2, times=4))
    source = house.source(accounts(12))
    slower = replace(house, clock=ScaledClock(10))
    settings: dict[str, Any] = {
        "slack_concurrency": 2,
        "slack_timeout_s": 5,
        "lease_s": 10,
        "resume_within_h": 0,
    }
    async with slower.open(**settings) as desk:
        run = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests, what="the first alert has left")
        with closing(sqlite3.connect(house.database, isolation_level=None, timeout=0)) as other:
            await until(lambda: _has_locked(other), what="the database is locked")
            await slower.clock.sleep(15)
            other.execute("UPDATE runs SET expires_at = 0")
            other.execute("COMMIT")
            await rescue_runs(desk.app)
        record = await run
    assert record.counts.alerts_sent == 12
    assert house.slack.stats().total.duplicates == {}


def _has_locked(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


async def test_a_run_waits_for_one_of_its_own_process_that_could_not_beat(house: House) -> None:
    """The lease of the run before it has run out, but that run is at work: nothing is taken over."""
    house.slack.script(AMER, Step(delay_s=0.3, times=2))
    source = house.source(accounts(2))
    async with house.open(slack_concurrency=1) as desk:
        first = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests == 2, what="all is claimed")
        _expire_leases(house)
        second = asyncio.create_task(desk.run(source))
        assert (await first).counts.alerts_sent == 2
        assert (await second).counts.skipped_replay == 2


async def test_a_run_that_could_not_beat_closes_itself_when_it_is_cancelled(house: House) -> None:
    """Whoever cancels it, in its own process, does not take it for dead: its answers are written down."""
    house.slack.script(AMER, Step(delay_s=0.3))
    async with house.open(slack_concurrency=1) as desk:
        run = asyncio.create_task(desk.run(house.source(accounts(2))))
        await until(lambda: house.slack.stats().total.requests, what="the first alert has left")
        (run_id,) = desk.app.at_work.runs
        _expire_leases(house)
        await cancel_run(desk.app, run_id)
        with pytest.raises(CancelledRunError):
            await run
        counts = (await desk.app.store.history.get_run(run_id)).counts
        assert (counts.alerts_sent, counts.unsent, counts.unknown) == (1, 1, 0)


def _expire_leases(house: House) -> None:
    with closing(sqlite3.connect(house.database)) as ledger, ledger:
        ledger.execute("UPDATE runs SET expires_at = 0")


@pytest.mark.parametrize(
    ("verb", "problem"),
    [
        *((verb, DatabaseBusyError("the database is busy")) for verb in WRITING_VERBS),
        *((verb, AWAY) for verb in (*WRITING_VERBS[1:], *READING_VERBS)),
    ],
)
async def test_a_run_waits_for_a_database_that_is_busy_or_away(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: str, problem: DatabaseUnusableError
) -> None:
    """Whichever verb finds it so for a moment, the run goes on as if nothing had been; each is sent once."""
    _fails(monkeypatch, verb, problem, times=3)
    house.slack.script(EMEA, Step(status=429, headers={"Retry-After": "3600"}))
    rows = [*accounts(5), *accounts(2, region="EMEA", prefix="e"), account("nowhere", account_region=None)]
    async with house.open(slack_concurrency=2) as desk:
        record = await desk.run(house.source(rows))
    assert (record.counts.alerts_sent, record.counts.unsent, record.counts.unknown_region) == (5, 2, 1)
    assert house.slack.stats().channels[AMER].requests == 5


async def test_a_cancelled_run_waits_for_a_database_that_is_away(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that cannot hear at once that it was cancelled is not left to be resumed."""
    _fails(monkeypatch, "runs.is_cancelled", AWAY, times=3)
    house.slack.script(AMER, Step(delay_s=0.2))
    async with house.open(slack_concurrency=1) as desk:
        run = asyncio.create_task(desk.run(house.source(accounts(2))))
        await until(lambda: house.slack.stats().total.requests, what="the first alert has left")
        (run_id,) = desk.app.at_work.runs
        await cancel_run(desk.app, run_id)
        with pytest.raises(CancelledRunError):
            await run


async def test_a_stop_waits_for_a_database_that_is_away(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within its grace a process that stops releases its run: nobody has to wait for the lease to run out."""
    _fails(monkeypatch, "runs.release", AWAY, times=3)
    house.slack.script(AMER, Step(delay_s=0.2))
    async with house.open(slack_concurrency=1) as desk:
        run = asyncio.create_task(desk.run(house.source(accounts(2))))
        await until(lambda: house.slack.stats().total.requests, what="the first alert has left")
        desk.app.at_work.stop()
        with pytest.raises(InterruptedRunError) as raised:
            await run
        since = datetime(2000, 1, 1, tzinfo=UTC)
        resumable = await desk.app.store.rescue.resumable(since=since, kinds=desk.app.kinds)
        assert resumable == [raised.value.run_id]


@pytest.mark.parametrize("verb", ["recording.standings", "recording.withdrawable"])
async def test_a_preview_waits_for_a_database_that_is_away(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """The source has been read by then."""
    _fails(monkeypatch, verb, AWAY, times=3)
    async with house.open() as desk:
        request = month_request(SourceUri.parse(house.source(accounts(2))), Month.parse(MONTH))
        assert (await preview(desk.app, request, limit=10, progress=Progress())).counts.would_send == 2


async def test_a_run_that_has_not_begun_does_not_wait_for_the_database(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for a run while the server is away is told so at once."""
    _fails(monkeypatch, "runs.begin", AWAY, times=1)
    async with house.open() as desk:
        with pytest.raises(DatabaseUnavailableError):
            await desk.run(house.source(accounts(1)))


async def test_a_dry_run_has_patience_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its one write waits for a busy database."""
    _fails(monkeypatch, "recording.record_dry_run", DatabaseBusyError("the database is busy"), times=2)
    async with house.open() as desk:
        assert (await desk.run(house.source(accounts(2)), dry_run=True)).counts.would_send == 2


async def test_missed_heartbeats_do_not_end_a_run(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nobody has taken the month over, a run goes on without them."""
    _fails(monkeypatch, "runs.keep_alive", RuntimeError("no pulse"), times=1_000)
    slower = replace(house, clock=ScaledClock(10))
    async with slower.open(slack_messages_per_second=1, lease_s=90) as desk:
        record = await desk.run(house.source(accounts(40)))
    assert record.counts.alerts_sent == 40


async def test_a_heartbeat_that_meets_the_end_does_not_undo_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has just closed itself is not taken for one that somebody else has closed."""
    beaten = asyncio.Event()
    keep_alive, finish = Runs.keep_alive, Runs.finish

    async def finish_before_a_beat(runs: Runs, *args: Any, **kwargs: Any) -> None:
        await finish(runs, *args, **kwargs)
        await asyncio.wait_for(beaten.wait(), PATIENCE_S)

    async def beat_after_the_end(runs: Runs, run_id: str, **kwargs: Any) -> None:
        try:
            await keep_alive(runs, run_id, **kwargs)
        except OvertakenError:
            beaten.set()
            raise

    monkeypatch.setattr(Runs, "finish", finish_before_a_beat)
    monkeypatch.setattr(Runs, "keep_alive", beat_after_the_end)
    slower = replace(house, clock=ScaledClock(10))
    async with slower.open(lease_s=90) as desk:
        record = await desk.run(house.source(accounts(3)))
    assert record.counts.alerts_sent == 3


async def test_what_slack_answered_survives_a_failing_write(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up under the run fails it, but what had been sent is on record as sent."""
    house.slack.script(AMER, Step(delay_s=0.2, times=4))
    failure = DatabaseUnusableError("the database cannot be used: its disk is full")
    # The first write claims, the second has the answers to write.
    _fails(monkeypatch, "outbox.settle_and_claim", failure, times=1, after=1)
    source = house.source(accounts(10))
    async with house.open(slack_concurrency=4) as desk:
        with pytest.raises(DatabaseUnusableError) as raised:
            await desk.run(source)
        failed = await desk.app.store.history.get_run(raised.value.run_id or "")
        assert failed.status is RunStatus.FAILED
        assert failed.error is not None
        assert failed.error.code == "database_unusable"
        sent = failed.counts.alerts_sent
        assert sent == house.slack.stats().total.requests >= 1
        assert (failed.counts.unknown, failed.counts.unsent) == (0, 10 - sent)
        again = await desk.run(source)
        assert (again.counts.skipped_replay, again.counts.alerts_sent) == (sent, 10 - sent)
    assert house.slack.stats().total.duplicates == {}


async def test_the_log_says_what_the_ledger_has(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert's line is written after its commit: the process may die, or the write fail, in between."""
    standing: list[tuple[str, str]] = []

    def compare(event: Event) -> None:
        if isinstance(event, AlertSettled):
            with closing(sqlite3.connect(house.database)) as ledger:
                rows = ledger.execute("SELECT status FROM outbox WHERE id = ?", (event.alert_id,))
                standing.append((event.outcome, rows.fetchone()[0]))

    # Every write of answers fails at first.
    _fails(monkeypatch, "outbox.settle_and_claim", DatabaseBusyError("it is busy"), times=2, after=1)
    house.slack.script(AMER, Step(status=410, times=1))
    async with house.open(slack_concurrency=2, events=Events(compare)) as desk:
        await desk.run(house.source(accounts(5)))
    assert sorted(standing) == [("failed", "failed"), *[("sent", "sent")] * 4]


async def test_a_read_only_database_is_a_clear_failure(house: House) -> None:
    """Nothing is posted, and the error says what is wrong with the database."""
    source = house.source(accounts(2))
    async with house.open():
        pass
    read_only = f"sqlite:///file:{house.database}?mode=ro&uri=true"
    with pytest.raises(DatabaseUnusableError, match="read"):
        async with house.open(database_url=read_only) as desk:
            await desk.run(source)
    assert house.slack.stats().total.requests == 0


async def test_a_stop_in_mid_delivery_leaves_the_rest_for_the_next_run(house: House) -> None:
    """What is on its way is awaited, the run is released at once, and the rest is the next run's."""
    source = house.source(accounts(10))
    house.slack.script(AMER, Step(delay_s=0.2, times=10))
    async with house.open(slack_concurrency=2) as desk:
        run = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests >= 3, what="some have left")
        desk.app.at_work.stop()
        with pytest.raises(InterruptedRunError) as raised:
            await run
        run_id = raised.value.run_id or ""
        left = (await desk.app.store.history.get_run(run_id)).counts
        sent = left.alerts_sent
        assert sent == house.slack.stats().total.requests < 10
        assert left.unknown == 0
    async with house.open() as desk:
        again = await desk.run(source)
        assert (again.counts.alerts_sent, again.counts.skipped_replay) == (10 - sent, sent)
        closed = await desk.app.store.history.get_run(run_id)
        assert (closed.status, closed.counts.unsent) == (RunStatus.FAILED, 10 - sent)
    assert house.slack.stats().total.duplicates == {}


async def test_a_stop_ends_pauses_and_retries_at_once(house: House) -> None:
    """Neither an hour's Retry-After nor a retry that waits keeps a stopping service."""
    house.slack.script(AMER, Step(status=429, headers={"Retry-After": "500"}))
    house.slack.script(EMEA, Step(status=500, times=4))
    async with house.open(delivery_deadline_s=40_000) as desk:
        source = house.source(accounts(2) + accounts(1, region="EMEA", prefix="e"))
        run = asyncio.create_task(desk.run(source))
        await until(lambda: house.slack.stats().total.requests >= 2, what="both lanes have begun")
        before = house.clock.monotonic()
        desk.app.at_work.stop()
        with pytest.raises(InterruptedRunError):
            await run
        assert house.clock.monotonic() - before < 400


def _fails(
    monkeypatch: pytest.MonkeyPatch, verb: str, error: Exception, *, times: int, after: int = 0
) -> None:
    """Let a verb of the store fail `times` times, once it has worked `after` times."""
    part, _, name = verb.partition(".")
    owner = PARTS[part]
    works = getattr(owner, name)
    calls = 0

    async def sometimes(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if after < calls <= after + times:
            raise error
        return await works(*args, **kwargs)

    monkeypatch.setattr(owner, name, sometimes)


async def test_a_run_that_cannot_even_be_closed_is_logged(house: House) -> None:
    """When the database goes away in mid-run the caller and the log hear why, though no record can."""
    path = house.database
    async with house.open(lease_s=300) as desk:
        house.slack.script(AMER, Step(delay_s=0.5))
        running = asyncio.ensure_future(desk.run(house.source([account("acme")])))
        await until(lambda: house.slack.stats().total.requests, what="the message is on its way")
        path.rename(path.with_suffix(".gone"))
        with structlog.testing.capture_logs() as lines, pytest.raises(DatabaseUnusableError) as raised:
            await running
    assert raised.value.run_id is not None
    assert "run_not_closed" in [line["event"] for line in lines]
