"""The database: connections, transactions, and what its errors mean.

SQLite (the default) is opened in WAL mode with synchronous=FULL, so that a committed claim survives a power
cut. There is one writer at a time: `BEGIN IMMEDIATE` on SQLite, an advisory lock on PostgreSQL. A transaction
always runs to its end: cancelling the caller neither stops the statement nor leaves half of it behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.errors import DatabaseSchemaNewerError, DatabaseUnusableError
from service.store.schema import NEWEST_REVISION

BUSY_TIMEOUT_S: Final = 10.0
"""How long a transaction waits for another process's before it gives up."""
_WRITER_LOCK: Final = 7_275_126
"""Any number, the same in every process: PostgreSQL's advisory lock in place of `BEGIN IMMEDIATE`."""

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


class DatabaseBusyError(DatabaseUnusableError):
    """Another process held the database for longer than the busy timeout; it can be tried again."""


class Database:
    """One process's way into the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writing = asyncio.Lock()
        is_sqlite = engine.dialect.name == "sqlite"
        self._take_writer_lock = None if is_sqlite else sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK))
        self.clock: sa.ColumnElement[float] = sa.literal_column(
            "((julianday('now') - 2440587.5) * 86400.0)"
            if is_sqlite
            else "extract(epoch from clock_timestamp())::double precision",
            sa.Double,
        )
        """Seconds since 1970, by the one clock that all processes share."""

    async def read(self, work: Work[T]) -> T:
        """Run `work` in a transaction of its own; raises DatabaseUnusableError."""

        async def transaction() -> T:
            async with self._engine.connect() as connection:
                return await work(connection)

        return await _to_its_end(transaction())

    async def write(self, work: Work[T]) -> T:
        """Run `work` as the only writer and commit; nothing of it stays when it raises.

        Raises DatabaseBusyError, DatabaseUnusableError, and whatever `work` raises.
        """

        async def transaction() -> T:
            # The lock keeps the tasks of this process in line; SQLite's own waiting is a poll and unfair.
            async with self._writing, self._engine.connect() as connection:
                await connection.execution_options(writes=True)
                async with connection.begin():
                    if self._take_writer_lock is not None:
                        await connection.execute(self._take_writer_lock)
                    return await work(connection)

        return await _to_its_end(transaction())

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


async def open_database(url: str) -> Database:
    """Connect, create or upgrade the schema, and return the database.

    `url` is `sqlite:///path` or `postgresql://…`. Raises DatabaseUnusableError, and DatabaseSchemaNewerError
    when the schema is of a later version than this one.
    """
    database = Database(_engine_for(url))
    try:
        await _bring_up_to_date(database)
    except BaseException:
        await database.close()
        raise
    return database


def _engine_for(url: str) -> AsyncEngine:
    try:
        parsed = sa.make_url(url)
    except SQLAlchemyError:
        raise DatabaseUnusableError("DATABASE_URL is not a database URL") from None
    match parsed.get_backend_name():
        case "sqlite":
            path = parsed.database or ""
            if path in {"", ":memory:"}:
                raise DatabaseUnusableError("DATABASE_URL needs a file: the ledger must outlive the process")
            if not path.startswith("file:"):
                _make_folder(Path(path).parent)
            engine = create_async_engine(
                parsed.set(drivername="sqlite+aiosqlite"),
                hide_parameters=True,
                connect_args={"timeout": BUSY_TIMEOUT_S},
            )
            sa.event.listen(engine.sync_engine, "connect", _set_up_sqlite)
            sa.event.listen(engine.sync_engine, "begin", _begin_on_sqlite)
            return engine
        case "postgresql":
            return create_async_engine(
                parsed.set(drivername="postgresql+asyncpg"),
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={"timeout": BUSY_TIMEOUT_S},
            )
        case other:
            raise DatabaseUnusableError(f"DATABASE_URL: {other} is not supported; use sqlite or postgresql")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise DatabaseUnusableError(f"the database's folder cannot be made: {problem}") from problem


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_on_sqlite`, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_on_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    # A deferred transaction that turns to writing fails at once whatever the busy timeout.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def _bring_up_to_date(database: Database) -> None:
    async def revision(connection: AsyncConnection) -> str | None:
        if not await connection.run_sync(lambda sync: sa.inspect(sync).has_table("alembic_version")):
            return None
        found = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)

    async def upgrade(connection: AsyncConnection) -> None:
        # Inside the one write transaction: of several processes that start at once, one does it.
        if await revision(connection) != NEWEST_REVISION:
            from service.store.migrations import upgrade_to_newest  # noqa: PLC0415  # slow, and rarely needed

            await connection.run_sync(upgrade_to_newest)

    found = await database.read(revision)
    if found is not None and found > NEWEST_REVISION:
        raise DatabaseSchemaNewerError(
            f"the database's schema is version {found}, newer than {NEWEST_REVISION}, the last that this "
            "version of the service knows; deploy the newer version"
        )
    if found != NEWEST_REVISION:
        await database.write(upgrade)


async def _to_its_end(transaction: Awaitable[T]) -> T:
    """Await a transaction so that cancellation only takes effect after its commit or rollback."""
    task = asyncio.ensure_future(transaction)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
    except DBAPIError as problem:
        raise _translated(problem) from problem
    except (OSError, TimeoutError, SQLAlchemyError) as problem:
        raise DatabaseUnusableError(f"the database cannot be used: {type(problem).__name__}") from problem


def _translated(problem: DBAPIError) -> DatabaseUnusableError:
    # The driver's own words ("attempt to write a readonly database") name neither statement nor values.
    words = str(problem.orig)
    if "locked" in words or "busy" in words:
        return DatabaseBusyError(f"the database is busy: {words}")
    return DatabaseUnusableError(f"the database cannot be used: {words}")
