"""Transactions: whole or not at all, one writer at a time, and errors in one family."""

import asyncio
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from service.domain.errors import DatabaseUnusableError
from service.store.database import database
from service.store.database.failures import DatabaseBusyError
from service.store.store import Store, open_store
from tests.support.databases import Backend
from tests.support.given import LEASE_S, Given, routed
from tests.support.waiting import until

PROBE = "INSERT INTO health_probe (id, ballast) VALUES (:id, '')"


async def _probes(given: Given) -> list[int]:
    return [row["id"] for row in await given.sql("SELECT id FROM health_probe ORDER BY id")]


class Slow:
    """Work that is in the middle of its transaction for as long as a test wants."""

    def __init__(self, backend: Backend) -> None:
        self.begun = False
        self._on_the_loop = backend.name == "postgresql"
        self._go_on = threading.Event()

    def __call__(self, connection: sa.Connection) -> str:
        """Write, wait, write again."""
        connection.execute(sa.text(PROBE), {"id": 1})
        self.begun = True
        while not self._go_on.wait(0.002):
            if self._on_the_loop:
                connection.execute(sa.text("SELECT 1"))  # lets the event loop have its turn
        connection.execute(sa.text(PROBE), {"id": 2})
        return "done"

    def go_on(self) -> None:
        """Let the transaction come to its end."""
        self._go_on.set()


async def test_a_cancelled_transaction_runs_to_its_end(given: Given, backend: Backend) -> None:
    """Cancelling its caller, even again and again, neither tears a transaction apart nor leaves it open."""
    slow = Slow(backend)
    task = asyncio.create_task(given.store._database.write(slow))
    await until(lambda: slow.begun)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    slow.go_on()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _probes(given) == [1, 2]
    await given.sql(PROBE, id=3)
    assert await _probes(given) == [1, 2, 3]


async def test_a_cancelled_transaction_that_fails_leaves_nothing(given: Given, backend: Backend) -> None:
    """What fails after its caller was cancelled is rolled back and does not leak into the next commit."""
    slow = Slow(backend)

    def fails(connection: sa.Connection) -> None:
        slow(connection)
        raise RuntimeError("after both writes")

    task = asyncio.create_task(given.store._database.write(fails))
    await until(lambda: slow.begun)
    task.cancel()
    slow.go_on()
    with pytest.raises(asyncio.CancelledError):
        await task
    await given.sql(PROBE, id=3)
    assert await _probes(given) == [3]


async def test_cancelled_verbs_are_whole_or_absent(given: Given) -> None:
    """Recording that is cancelled at any moment has stored all of its alerts or none, never some."""
    lease = await given.a_lease("r1")
    items = routed(*(f"a{number}" for number in range(1200)))
    for turns in (0, 1, 2, 5, 20):
        task = asyncio.create_task(given.recorded(lease, items))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        counted = await given.sql(
            "SELECT (SELECT count(*) FROM outbox) AS a, (SELECT count(*) FROM run_outcomes) AS o"
        )
        assert counted in ([{"a": 0, "o": 0}], [{"a": 1200, "o": 1200}])
        await given.sql("DELETE FROM run_outcomes")
        await given.sql("DELETE FROM outbox")


async def test_reads_see_one_moment(given: Given) -> None:
    """What is committed while somebody reads does not show in the middle of his answer."""
    await given.a_run("r1")
    database_ = given.store._database
    loop = asyncio.get_running_loop()
    committed = threading.Event()

    def count(connection: sa.Connection) -> int:
        return int(connection.execute(sa.text("SELECT count(*) FROM runs")).scalar_one())

    def twice(connection: sa.Connection) -> tuple[int, int]:
        before = count(connection)
        loop.call_soon_threadsafe(begin_another)
        while not committed.is_set():
            connection.execute(sa.text("SELECT 1"))
        return before, count(connection)

    def begin_another() -> None:
        task = loop.create_task(given.a_run("r2"))
        task.add_done_callback(lambda _: committed.set())

    assert await database_.read(twice) == (1, 1)
    assert await database_.read(count) == 2


async def test_readers_cannot_write(store: Store) -> None:
    """A question that would change something is refused by the database itself."""
    with pytest.raises(DatabaseUnusableError, match="read-only"):
        await store._database.read(lambda connection: connection.execute(sa.text(PROBE), {"id": 1}))


async def test_two_processes_count_without_losing_any(database_url: str) -> None:
    """Writers of several stores on one database stand in line: read-then-write loses nothing."""

    def add_one(connection: sa.Connection) -> None:
        highest = connection.scalar(sa.text("SELECT coalesce(max(id), 0) FROM health_probe"))
        connection.execute(sa.text(PROBE), {"id": int(highest or 0) + 1})

    async with open_store(database_url) as one, open_store(database_url) as other:
        writers = [store._database.write(add_one) for _ in range(25) for store in (one, other)]
        await asyncio.gather(*writers)
        assert await _probes(Given(one)) == list(range(1, 51))


async def test_a_database_held_by_another_is_busy_and_well(
    backend: Backend, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process writes, a verb gives up as busy, readers go on, and health says so with 200."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.3)
    async with open_store(database_url) as holder, open_store(database_url) as waiter:
        slow = Slow(backend)
        holding = asyncio.create_task(holder._database.write(slow))
        await until(lambda: slow.begun)
        with pytest.raises(DatabaseBusyError, match=r"^the database is busy: another process is writing$"):
            await waiter.runs.keep_alive("r1", lease_s=LEASE_S, progress={})
        assert await waiter.outbox.undelivered() == {}
        assert await waiter.health() == "busy"
        slow.go_on()
        assert await holding == "done"
        assert await waiter.health() == "ok"


async def test_health_of_a_database_that_works(given: Given) -> None:
    """A database that can be read and written is `ok`, however many ask at once, and nothing stays behind."""
    assert await asyncio.gather(*(given.store.health() for _ in range(20))) == ["ok"] * 20
    assert await _probes(given) == []


async def test_health_of_a_database_without_its_tables(given: Given) -> None:
    """A database that somebody emptied is no healthy one."""
    await given.sql("DROP TABLE health_probe")
    with pytest.raises(DatabaseUnusableError):
        await given.store.health()


async def test_errors_hold_no_values(given: Given) -> None:
    """What the database complains about is told without the values of the statement."""
    await given.a_run("r1")
    with pytest.raises(DatabaseUnusableError) as unusable:
        await given.a_run("r1")
    assert "r1" not in str(unusable.value)
    assert "january" not in str(unusable.value)
    assert "INSERT" not in str(unusable.value)


async def test_a_store_that_closes_waits_for_what_is_being_written(
    database_url: str, backend: Backend
) -> None:
    """Closing while a cancelled caller's transaction is under way lets it finish."""
    slow = Slow(backend)
    async with open_store(database_url) as store:
        task: asyncio.Task[Any] = asyncio.create_task(store._database.write(slow))
        await until(lambda: slow.begun)
        task.cancel()
        asyncio.get_running_loop().call_later(0.02, slow.go_on)
        await asyncio.gather(task, return_exceptions=True)
    async with open_store(database_url) as store:
        assert await _probes(Given(store)) == [1, 2]
