"""SQLite through the standard library's driver: a few connections that read, and one that writes.

The file is in WAL mode with synchronous=FULL, so that a committed claim survives a power cut. A transaction
runs whole in a thread: it takes one thread hop whatever it does, and no cancellation can tear apart what a
thread does in one go. One that writes is `BEGIN IMMEDIATE`, and there is one thread for them.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from service.domain.errors import DatabaseUnusableError
from service.domain.identity.scope import Scope
from service.runtime.private_files import create_private_file, make_private, make_private_folder
from service.store.database import database
from service.store.database.database import Work, execute
from service.store.database.failures import DatabaseBusyError, translated

_READERS: Final = 4
_WAL_POLL_S: Final = 0.02
_MEMORY: Final = {"", ":memory:", "file::memory:"}
_WRITES: Final = (
    "synchronous=FULL",
    # What is temporary stands in memory: a large statement needs no file of its own.
    "temp_store=MEMORY",
    # KiB, taken when they are needed: what a batch of a bulk job changes is written once, by its commit.
    "cache_size=-16000",
    # Pages, four times the usual: a checkpoint costs the commit that makes it two more waits for the disk,
    # and so it is less than one in a hundred commits of a small request.
    "wal_autocheckpoint=4000",
)
FAILURES: Final = (SQLAlchemyError, sqlite3.Error)

T = TypeVar("T")


class SqliteReads:
    """What can be asked of a SQLite database: each transaction runs whole, in one of a few threads."""

    def __init__(self, readers: sa.Engine, *, threads: int) -> None:
        self._readers = readers
        self._reading = ThreadPoolExecutor(threads, "sqlite-read")

    def within(self, scope: Scope) -> Self:  # noqa: ARG002  # it knows no rows of somebody's
        """Return the same database; see `Database.within`."""
        return self

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent snapshot; see `Database.read`."""

        def transaction() -> T:
            with self._readers.connect() as connection:
                return work(connection)

        return await in_thread(self._reading, transaction)


class SqliteDatabase(SqliteReads):
    """A SQLite file."""

    def __init__(self, url: sa.URL) -> None:
        """Prepare for the file that `url` names; raises DatabaseUnusableError when it names none."""
        _make_file(path_of(url, "DATABASE_URL"))
        super().__init__(reading_engine(url, _READERS), threads=_READERS)
        self._writer = _engine(url, 1, writes=True)
        # One thread keeps this process's writers in line: SQLite's own waiting is a poll, and unfair.
        self._writing = ThreadPoolExecutor(1, "sqlite-write")
        self._place = Path()
        self._file: os.stat_result | None = None

    async def open(self) -> None:
        """Connect, and put the file into WAL mode for all connections; raises DatabaseUnusableError."""
        await in_thread(self._writing, self._switch_to_wal)
        await in_thread(self._reading, self._open_readers)

    def _open_readers(self) -> None:
        """Open them all now: where descriptors run short nothing more of the file has to be opened."""
        with ExitStack() as stack:
            for _ in range(_READERS):
                connection = stack.enter_context(self._readers.connect())
                connection.exec_driver_sql("PRAGMA schema_version")  # opens the log as well

    async def write(self, work: Work[T], *, repeatable: bool = False) -> T:  # noqa: ARG002  # no answer is lost
        """Run `work` as the only writer and commit; see `Database.write`."""

        def transaction() -> T:
            self._refuse_a_lost_file()
            with self._writer.begin() as connection:
                return work(connection)

        return await in_thread(self._writing, transaction)

    async def close(self) -> None:
        """Close all connections, after what is still being written."""
        for threads, engine in ((self._reading, self._readers), (self._writing, self._writer)):
            # Waits for its threads, which may still be at work.
            await asyncio.to_thread(threads.shutdown)
            engine.dispose()

    def _switch_to_wal(self) -> None:
        deadline = time.monotonic() + database.BUSY_TIMEOUT_S
        connection = self._writer.raw_connection()
        try:
            while (mode := _try_wal(connection.cursor())) is None:
                if time.monotonic() > deadline:
                    raise DatabaseBusyError("the database is busy: another process holds it to itself")
                time.sleep(_WAL_POLL_S)
            # SQLite's own words: a URL may be relative, a symbolic link, or a `file:` URI with options.
            place = connection.cursor().execute("PRAGMA database_list").fetchall()[0][2]
        finally:
            connection.close()
        if mode != "wal":
            # Network file systems, mostly: there a commit could be lost, and processes not see each other.
            raise DatabaseUnusableError("the database cannot be used: its file system does not support WAL")
        self._place = Path(place)
        self._file = self._place.stat()
        for suffix in ("", "-wal", "-shm"):
            make_private(Path(f"{place}{suffix}"))

    def _refuse_a_lost_file(self) -> None:
        """Raise DatabaseUnusableError once another file, or none, stands where this one was opened.

        SQLite would go on writing to what was deleted: alerts would leave, and the ledger that knows of them
        would end with this process.
        """
        if self._file is None:
            return
        try:
            is_there = os.path.samestat(self._place.stat(), self._file)
        except OSError:
            is_there = False
        if not is_there:
            raise DatabaseUnusableError("the database cannot be used: its file was removed or replaced")


def path_of(url: sa.URL, name: str) -> str:
    """Return the file that a URL names; raises DatabaseUnusableError, which calls it `name`."""
    path = url.database or ""
    if path in _MEMORY or url.query.get("mode") == "memory":
        raise DatabaseUnusableError(f"{name} needs a file: the ledger must outlive the process")
    return path


@contextmanager
def lone_transaction(url: sa.URL, name: str, *, writes: bool) -> Iterator[sa.Connection]:
    """Make one long transaction: of the only writer, or on one snapshot; committed if the block ends well.

    Raises DatabaseUnusableError where there is no file to read.
    """
    path = path_of(url, name)
    if writes:
        _make_file(path)
    elif not path.startswith("file:") and not Path(path).is_file():
        raise DatabaseUnusableError(f"{name} names a file that is not there")  # SQLite would make one
    engine = _engine(url, 1, writes=writes)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def reading_engine(url: sa.URL, connections: int) -> sa.Engine:
    """Return what makes connections that cannot write."""
    return _engine(url, connections, writes=False)


def _engine(url: sa.URL, connections: int, *, writes: bool) -> sa.Engine:
    engine = sa.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        hide_parameters=True,
        # Transactions are begun by the listeners here, not by the driver.
        connect_args={"timeout": database.BUSY_TIMEOUT_S, "isolation_level": None},
        pool_size=connections,
        max_overflow=0,
    )
    pragmas = _WRITES if writes else ("query_only=ON",)

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A deferred transaction that turns to writing fails at once whatever the busy timeout.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _try_wal(cursor: Any) -> str | None:
    """Return the journal mode after asking for WAL; None where another process was doing the same."""
    try:
        # Where several processes switch at once SQLite does not wait but fails.
        return str(cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0])
    except sqlite3.OperationalError as problem:
        if isinstance(translated(problem), DatabaseBusyError):
            return None
        raise
    finally:
        cursor.close()


async def in_thread(threads: ThreadPoolExecutor, transaction: Callable[[], T]) -> T:
    """Run a transaction to its end in a thread; raises DatabaseUnusableError and what it raises."""
    try:
        return await execute(asyncio.get_running_loop().run_in_executor(threads, transaction))
    except FAILURES as problem:
        raise translated(problem) from problem


def _make_file(path: str) -> None:
    """Make the folder and the file; a `file:` URI is SQLite's to read."""
    if path.startswith("file:"):
        return
    folder = Path(path).parent
    try:
        make_private_folder(folder)
    except OSError as problem:
        raise DatabaseUnusableError(
            f"the database's folder cannot be made: {problem.strerror}: {folder}"
        ) from problem
    with suppress(OSError):  # SQLite says it better
        create_private_file(Path(path))
