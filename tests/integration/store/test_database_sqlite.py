"""A SQLite file and what can be wrong with it."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.account_risk.kind import month_request
from service.domain.errors import DatabaseUnusableError
from service.domain.month import Month
from service.domain.source_uri import SourceUri
from service.store.database import database
from service.store.database.failures import DatabaseBusyError
from service.store.schema.copying import copy_ledger
from service.store.store import Store, open_store
from tests.support.given import Given, routed


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return a database with the newest schema and nothing in it."""
    path = tmp_path / "risk alerts.db"
    async with open_store(f"sqlite:///{path}"):
        pass
    return path


async def _asked(store: Store, pragma: str) -> tuple[object, object]:
    """Return what a pragma says on a writing and on a reading connection."""

    def ask(connection: sa.Connection) -> object:
        return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

    return await store._database.write(ask), await store._database.read(ask)


async def test_every_connection_is_durable_and_waits_its_turn(path: Path) -> None:
    """WAL with synchronous=FULL for the writer, read-only readers, and the busy timeout on both."""
    async with open_store(f"sqlite:///{path}") as store:
        assert await _asked(store, "journal_mode") == ("wal", "wal")
        assert (await _asked(store, "synchronous"))[0] == 2
        assert await _asked(store, "query_only") == (0, 1)
        assert await _asked(store, "busy_timeout") == (10_000, 10_000)


async def test_a_writer_begins_immediately(path: Path) -> None:
    """A writing transaction has the write lock before its first statement, a reading one never."""
    async with open_store(f"sqlite:///{path}") as store:

        def is_locked(_: sa.Connection) -> bool:
            with closing(sqlite3.connect(path, timeout=0)) as other:
                try:
                    other.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    return True
                return False

        assert await store._database.write(is_locked) is True
        assert await store._database.read(is_locked) is False


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
        "mysql://user:canary-secret@localhost/x",
        "no url",
        "postgresql://[::canary-secret/x",
    ],
)
async def test_what_cannot_hold_a_ledger_is_refused(url: str) -> None:
    """A database that dies with the process, or that is none, is refused without quoting its address."""
    with pytest.raises(DatabaseUnusableError, match="DATABASE_URL") as refused:
        async with open_store(url):
            pass
    assert "canary-secret" not in str(refused.value)


async def test_folders_are_made(tmp_path: Path) -> None:
    """The database's folder need not exist."""
    async with open_store(f"sqlite:///{tmp_path}/a/b/c.db") as store:
        assert await store.health() == "ok"


def _modes(folder: Path) -> dict[str, int]:
    """Return who may do what with a folder and what lies in it."""
    return {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in (folder, *folder.iterdir())}


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """Let files be readable by everybody unless somebody says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
async def test_the_ledger_is_its_owners(tmp_path: Path) -> None:
    """Database, log and index are the owner's alone, and so is the folder that is made for them."""
    folder = tmp_path / "data"
    async with open_store(f"sqlite:///{folder}/x.db") as store:
        assert await store.health() == "ok"
        assert _modes(folder) == {"data": 0o700, "x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}
    await copy_ledger(f"sqlite:///{folder}/x.db", f"sqlite:///{folder}/copies/y.db")
    assert _modes(folder / "copies") == {"copies": 0o700, "y.db": 0o600}


@pytest.mark.usefixtures("usual_umask")
@pytest.mark.parametrize("uri", [False, True])
async def test_the_ledger_of_an_older_version_becomes_its_owners(tmp_path: Path, *, uri: bool) -> None:
    """What everybody could read nobody else can any more; the folder, which somebody made, stays as it is."""
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    names = ("x.db", "x.db-wal", "x.db-shm")
    url = f"sqlite:///file:{folder}/x.db?uri=true" if uri else f"sqlite:///{folder}/x.db"
    with closing(sqlite3.connect(folder / "x.db")) as older:
        older.execute("PRAGMA journal_mode=WAL").close()
        older.execute("CREATE TABLE t (x)").close()
        for name in names:
            (folder / name).chmod(0o644)
        async with open_store(url):
            assert _modes(folder) == {"shared": 0o755} | dict.fromkeys(names, 0o600)


async def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """Where the folder should be lies a file: the database is unusable, in a sentence."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnusableError, match="folder cannot be made"):
        async with open_store(f"sqlite:///{tmp_path}/file/x.db"):
            pass
    with pytest.raises(DatabaseUnusableError, match="its file cannot be opened"):
        async with open_store(f"sqlite:///{tmp_path}"):
            pass


async def test_a_read_only_database_can_be_looked_at_and_is_unhealthy(path: Path) -> None:
    """What is recorded can still be read, every change is refused, and health says why."""
    async with open_store(f"sqlite:///{path}") as store:
        await Given(store).a_run("r1")
    async with open_store(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert (await store.history.get_run("r1")).run_id == "r1"
        with pytest.raises(DatabaseUnusableError, match=r"^the database cannot be used: it is read-only$"):
            await Given(store).a_run("r2")
        with pytest.raises(DatabaseUnusableError, match="it is read-only"):
            await store.health()


async def test_a_full_database_is_unusable_and_loses_nothing(
    path: Path, request: pytest.FixtureRequest
) -> None:
    """When there is no room left recording fails whole, health says so, and what was there can be read."""
    with closing(sqlite3.connect(path)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]

    def set_up_small(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 6}").close()

    sa.event.listen(sa.Pool, "connect", set_up_small)
    request.addfinalizer(partial(sa.event.remove, sa.Pool, "connect", set_up_small))
    async with open_store(f"sqlite:///{path}") as store:
        given = Given(store)
        lease = await given.a_lease("r1")
        with pytest.raises(DatabaseUnusableError, match=r"it, or the disk that it is on, is full") as full:
            await given.recorded(lease, routed(*(f"a{n}" for n in range(500))))
        assert "Name of" not in str(full.value)
        assert await given.outcomes("r1") == {}
        with pytest.raises(DatabaseUnusableError, match="is full"):
            await store.health()


FULL_DISK = """
import asyncio, resource, signal, sys
from service.domain.errors import DatabaseUnusableError
from service.domain.month import Month
from service.domain.source_uri import SourceUri
from service.store.store import open_store

async def main():
    async with open_store(sys.argv[1]) as store:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
        try:
            await store.health()
        except DatabaseUnusableError as problem:
            print(problem)

asyncio.run(main())
"""


def test_a_full_disk_is_unusable(path: Path) -> None:
    """When the disk takes no more, health says that the file cannot be written."""
    program = [sys.executable, "-c", FULL_DISK, f"sqlite:///{path}"]
    said = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("the database cannot be used: it")


def _lose(path: Path, *, replaced: bool) -> None:
    path.rename(path.with_name("moved away"))
    if replaced:
        path.touch()


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_database_that_was_removed_under_way_is_unusable(path: Path, *, replaced: bool) -> None:
    """Nothing is recorded in a file that is gone, since nobody could ever read it again."""
    async with open_store(f"sqlite:///{path}") as store:
        await Given(store).a_run("r1")
        _lose(path, replaced=replaced)
        with pytest.raises(DatabaseUnusableError, match="its file was removed or replaced"):
            await Given(store).a_run("r2")
        with pytest.raises(DatabaseUnusableError, match="its file was removed or replaced"):
            await store.health()


def _damage(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    match damage:
        case "other":
            content = bytearray(b"PAR1" * 5000)
        case "header":
            content[:16] = bytes(16)
        case _:
            content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["other", "header", "page"])
async def test_a_damaged_database_is_unusable(path: Path, damage: str) -> None:
    """A file that is no database, or was overwritten, is told as damaged."""
    _damage(path, damage)
    with pytest.raises(DatabaseUnusableError, match="its file is damaged"):
        async with open_store(f"sqlite:///{path}"):
            pass


async def test_a_database_in_the_hands_of_another_program_is_busy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody holds the file to himself opening it gives up in time, and works afterwards."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusyError):
            async with open_store(f"sqlite:///{path}"):
                pass
        other.execute("ROLLBACK")
    async with open_store(f"sqlite:///{path}") as store:
        assert await store.health() == "ok"


async def test_a_writer_waits_for_another_program(path: Path) -> None:
    """A write that finds the lock taken waits for it instead of failing."""
    async with open_store(f"sqlite:///{path}") as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(Given(store).a_run("r1"))
            await asyncio.wait([writing], timeout=0.05)
            assert not writing.done()
            other.execute("ROLLBACK")
            assert await writing == "r1"


def test_a_closed_database_is_one_file(path: Path) -> None:
    """Nothing is left beside a database that was closed: it can be copied as it lies there."""
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name]


async def test_a_request_without_a_key_asks_the_database_nothing(path: Path) -> None:
    """Most runs are asked for without one: their answer must not wait for a database that is busy or away."""
    async with open_store(f"sqlite:///{path}") as store:
        pass
    request = month_request(SourceUri.parse("s3://bucket/x"), Month.parse("2026-01-01"))
    # Closed: whatever asks it now fails.
    assert await store.requests.run_of(request) is None
