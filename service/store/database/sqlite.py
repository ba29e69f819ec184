"""SQLite through aiosqlite: a few connections that read, and one that writes.

The file is in WAL mode with synchronous=FULL, so that a committed claim survives a power cut. A transaction
that writes is `BEGIN IMMEDIATE`, and runs whole in the thread of aiosqlite's connection: it takes one thread
hop whatever it does, and no cancellation can tear apart what a thread does in one go.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.domain.errors import DatabaseUnusableError
from service.store.database import database
from service.store.database.database import Work, execute
from service.store.database.failures import DatabaseBusyError, translated

_READERS: Final = 4
_WAL_POLL_S: Final = 0.02
_MEMORY: Final = {"", ":memory:", "file::memory:"}
FAILURES: Final = (SQLAlchemyError, sqlite3.Error)

T = TypeVar("T")


class SqliteDatabase:
    """A SQLite file."""

    def __init__(self, url: sa.URL) -> None:
        """Prepare for the file that `url` names; raises DatabaseUnusableError when it names none."""
        path = _path_of(url, "DATABASE_URL")
        if not path.startswith("file:"):
            _make_folder(Path(path).parent)
        connect_args = {"timeout": database.BUSY_TIMEOUT_S}
        self._readers = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"),
            hide_parameters=True,
            connect_args=connect_args,
            pool_size=_READERS,
            max_overflow=0,
            pool_timeout=database.BUSY_TIMEOUT_S,
        )
        sa.event.listen(self._readers.sync_engine, "connect", _set_up_reader)
        sa.event.listen(self._readers.sync_engine, "begin", _begin_reading)
        place, options = self._readers.dialect.create_connect_args(url)
        self._connection: aiosqlite.Connection = aiosqlite.connect(
            *place, **{**options, **connect_args, "isolation_level": None}
        )
        self._is_open = False
        self._place = Path()
        self._file: os.stat_result | None = None
        # SQLAlchemy's own way through aiosqlite hops threads for every statement. Here it is given the
        # connection that aiosqlite holds, in aiosqlite's thread. That one thread also keeps this process's
        # writers in line: SQLite's own waiting is a poll, and unfair.
        self._writer = sa.create_engine(
            url.set(drivername="sqlite+pysqlite"),
            hide_parameters=True,
            creator=lambda: self._connection._conn,  # noqa: SLF001  # aiosqlite keeps it to itself
            poolclass=sa.StaticPool,
        )
        sa.event.listen(self._writer, "connect", _set_up_writer)
        sa.event.listen(self._writer, "begin", _begin_writing)

    async def open(self) -> None:
        """Connect, and put the file into WAL mode for all connections; raises DatabaseUnusableError."""

        async def connect() -> None:
            try:
                await self._connection
            except BaseException:
                # aiosqlite's thread is ending; it must not tell a loop that has been closed meanwhile.
                self._connection._thread.join()  # noqa: SLF001
                raise
            self._is_open = True

        await _result(asyncio.ensure_future(connect()))
        await self._in_thread(self._switch_to_wal)

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent snapshot; see `Database.read`."""

        async def transaction() -> T:
            async with self._readers.connect() as connection:
                return await connection.run_sync(work)

        return await _result(asyncio.ensure_future(transaction()))

    async def write(self, work: Work[T], *, repeatable: bool = False) -> T:  # noqa: ARG002  # no answer is lost
        """Run `work` as the only writer and commit; see `Database.write`."""

        def transaction() -> T:
            self._refuse_a_lost_file()
            with self._writer.begin() as connection:
                return work(connection)

        return await self._in_thread(transaction)

    async def close(self) -> None:
        """Close all connections, after what is still being written."""
        await _result(asyncio.ensure_future(self._readers.dispose()))
        if self._is_open:
            await _result(asyncio.ensure_future(self._connection.close()))

    async def _in_thread(self, step: Callable[[], T]) -> T:
        # The one way to run more than a statement in aiosqlite's thread.
        whole: Any = self._connection._execute  # noqa: SLF001
        return await _result(asyncio.ensure_future(whole(step)))

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


def _path_of(url: sa.URL, name: str) -> str:
    path = url.database or ""
    if path in _MEMORY or url.query.get("mode") == "memory":
        raise DatabaseUnusableError(f"{name} needs a file: the ledger must outlive the process")
    return path


def lone_engine(url: sa.URL, name: str, *, writes: bool) -> AsyncEngine:
    """Return an engine for one long transaction: of the only writer, or on one snapshot.

    Raises DatabaseUnusableError where there is no file to read.
    """
    path = _path_of(url, name)
    if not path.startswith("file:"):
        if writes:
            _make_folder(Path(path).parent)
        elif not Path(path).is_file():
            raise DatabaseUnusableError(f"{name} names a file that is not there")  # SQLite would make one
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        hide_parameters=True,
        connect_args={"timeout": database.BUSY_TIMEOUT_S, "isolation_level": None},
    )
    sa.event.listen(engine.sync_engine, "connect", _set_up_writer if writes else _set_up_reader)
    sa.event.listen(engine.sync_engine, "begin", _begin_writing if writes else _begin_reading)
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


async def _result(transaction: "asyncio.Future[T]") -> T:
    try:
        return await execute(transaction)
    except FAILURES as problem:
        raise translated(problem) from problem


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DatabaseUnusableError(
            f"the database's folder cannot be made: {problem.strerror}: {folder}"
        ) from problem


def _set_up_reader(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by the listeners here, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()


def _set_up_writer(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_reading(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: sa.Connection) -> None:
    # A deferred transaction that turns to writing fails at once whatever the busy timeout.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
