"""PostgreSQL through asyncpg: an advisory lock stands in for SQLite's one writer.

What the verbs read before they write is then as true at their commit as it was when they read it, on both
databases alike, and no transaction ever has to be tried again.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from copy import copy
from functools import partial
from itertools import count
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.domain.errors import DatabaseUnusableError
from service.domain.identity.scope import Scope
from service.store.database import database
from service.store.database.database import DatabaseClock, Work, execute
from service.store.database.failures import translated
from service.store.schema.tables import last_commits

_WRITER_LOCK: Final = 7_275_126
"""Any number, the same in every process."""
_READERS: Final = 4
"""With the one writer: five connections for each process."""
_RECYCLE_S: Final = 1800
_COMMAND_TIMEOUT_S: Final = 30.0
"""No statement here takes as long; an answer that takes longer was lost with the network."""
_COPY_TIMEOUT_S: Final = 600.0
"""A table of millions of rows may have to be sorted, while the other side of the copy waits."""
COMMIT_PATIENCE_S: Final = 30.0
"""Longer than the server itself keeps a transaction in which nothing happens."""
_COMMIT_POLL_S: Final = 0.2
_EVERYBODY: Final = "*"
"""In the place of a tenant's id: the policies of the tables let it see all rows."""
_SEEN: Final = sa.func.set_config("app.tenant_id", sa.bindparam("tenant", type_=sa.String), sa.true())
"""Until the transaction's end, the rows of a tenant are seen, and no others."""
_SEE_TENANT: Final = sa.select(_SEEN)
_LOCKED: Final = sa.func.pg_advisory_xact_lock(_WRITER_LOCK)
_LOCK: Final = sa.select(_LOCKED, _SEEN)
_NUMBER: Final = insert(last_commits).from_select(
    ["process", "number", "made_at"],
    # In one statement with the lock and the tenant, so that neither costs a round trip of its own.
    sa.select(
        sa.bindparam("process", type_=sa.String), sa.bindparam("number", type_=sa.BigInteger), DatabaseClock()
    ).select_from(_LOCKED.alias().join(_SEEN.alias(), sa.true())),
)
_LOCK_AND_NUMBER: Final = _NUMBER.on_conflict_do_update(
    index_elements=["process"],
    set_={"number": _NUMBER.excluded.number, "made_at": _NUMBER.excluded.made_at},
)
_FORGET_THE_DEAD: Final = sa.delete(last_commits).where(
    sa.func.abs(last_commits.c.made_at - DatabaseClock()) > 24 * 3600.0
)
_LAST_COMMIT: Final = sa.select(last_commits.c.number).where(
    last_commits.c.process == sa.bindparam("process")
)
FAILURES: Final = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_NOT_FOR_ASYNCPG: Final = {"channel_binding", "connect_timeout", "gssencmode", "sslcompression", "sslsni"}
"""What libpq's URLs may carry and asyncpg would pass on to the server, which does not know it."""

T = TypeVar("T")


class PostgresqlDatabase:
    """A database of a PostgreSQL server."""

    tenant: str = ""
    """Whose rows its transactions see: nobody's, unless it is `within` a scope."""

    def __init__(self, url: str) -> None:
        self._writing = asyncio.Lock()
        self._process = uuid.uuid4().hex
        self._numbers = count(1)
        connect = _connecting(url, answer_s=_COMMAND_TIMEOUT_S, idle_s=database.BUSY_TIMEOUT_S)
        # Repeatable read gives readers what SQLite gives them: one snapshot for all that they ask. The writer
        # has to see what was committed while it waited for the lock.
        self._readers = _engine(connect, _READERS, "REPEATABLE READ").execution_options(
            postgresql_readonly=True
        )
        self._writer = _engine(connect, 1, "READ COMMITTED")

    def within(self, scope: Scope) -> Self:
        """Return the same database, whose transactions see the rows of a scope's tenant only."""
        view = copy(self)
        view.tenant = scope.tenant_id or _EVERYBODY
        return view

    async def open(self) -> None:
        """Find out whether the server can be reached; raises DatabaseUnusableError."""
        await self.read(lambda connection: connection.execute(sa.select(1)).scalar())

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent snapshot; see `Database.read`."""

        async def transaction() -> T:
            async with self._readers.connect() as connection:
                if self.tenant:
                    await connection.execute(_SEE_TENANT, {"tenant": self.tenant})
                return await connection.run_sync(work)

        return await _result(transaction())

    async def write(self, work: Work[T], *, repeatable: bool = False) -> T:
        """Run `work` as the only writer and commit; see `Database.write`."""

        async def transaction() -> T:
            async with self._writing:
                number = None if repeatable else next(self._numbers)
                async with self._writer.connect() as connection:
                    await self._begin_writing(connection, number)
                    result = await connection.run_sync(work)
                    try:
                        await connection.commit()
                    except FAILURES as problem:
                        lost = problem
                    else:
                        return result
                if number is None or not await self._was_committed(number):
                    raise lost
                return result

        return await _result(transaction())

    async def _begin_writing(self, connection: AsyncConnection, number: int | None) -> None:
        """Take the writer's lock, and leave the transaction's number in it."""
        if number is None:
            await connection.execute(_LOCK, {"tenant": self.tenant})
            return
        numbered = {"process": self._process, "number": number, "tenant": self.tenant}
        await connection.execute(_LOCK_AND_NUMBER, numbered)
        if number == 1:
            # Each process adds one row: as they come, the rows of those that are gone go.
            await connection.execute(_FORGET_THE_DEAD)

    async def _was_committed(self, number: int) -> bool:
        """Find out what became of a transaction whose commit was asked for and not answered.

        A claim that is taken for made when it was not could be posted by two, and one that was made unseen
        would leave its alert in doubt. Raises DatabaseUnusableError when nobody can tell.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + COMMIT_PATIENCE_S
        while loop.time() < give_up_at:
            try:
                async with self._writer.connect() as connection:
                    # The transaction held this lock: once it is free, nothing of it is under way any more.
                    await connection.execute(_LOCK, {"tenant": self.tenant})
                    last = await connection.scalar(_LAST_COMMIT, {"process": self._process})
                    return bool(last == number)
            except FAILURES:
                await asyncio.sleep(_COMMIT_POLL_S)
        raise DatabaseUnusableError(
            "the database cannot be used: the connection was lost at a commit, and whether that was made "
            "cannot be found out"
        )

    async def close(self) -> None:
        """Close all connections."""
        await _result(self._readers.dispose())
        await _result(self._writer.dispose())


def asyncpg_dsn(url: str) -> str:
    """Spell a database URL as asyncpg reads it.

    asyncpg knows libpq's `sslmode`, `sslrootcert`, and `host=/cloudsql/…` for a socket, as the cloud's
    consoles hand them out; what it takes from SQLAlchemy's own spelling is said here.
    """
    parts = urlsplit(url)
    query = [
        ("sslmode" if name == "ssl" else name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in _NOT_FOR_ASYNCPG
    ]
    if not any(name == "application_name" for name, _ in query):
        query.append(("application_name", "risk-alerts"))
    return urlunsplit(parts._replace(scheme="postgresql", query=urlencode(query)))


@asynccontextmanager
async def lone_transaction(url: str, *, writes: bool) -> AsyncIterator[AsyncConnection]:
    """Make one long transaction: of the only writer, or on one snapshot; committed if the block ends well."""
    connect = _connecting(url, answer_s=_COPY_TIMEOUT_S, idle_s=_COPY_TIMEOUT_S)
    engine = _engine(connect, 1, "READ COMMITTED" if writes else "REPEATABLE READ")
    try:
        async with engine.execution_options(postgresql_readonly=not writes).begin() as connection:
            # A whole ledger is copied, whosever rows are in it.
            await connection.execute(_LOCK if writes else _SEE_TENANT, {"tenant": _EVERYBODY})
            yield connection
    finally:
        await engine.dispose()


def _connecting(url: str, *, answer_s: float, idle_s: float) -> Any:
    """Return what makes a connection: it waits so long for an answer, and is waited for so long."""
    return partial(
        asyncpg.connect,
        asyncpg_dsn(url),
        timeout=database.BUSY_TIMEOUT_S,
        command_timeout=answer_s,
        server_settings={
            "lock_timeout": f"{database.BUSY_TIMEOUT_S * 1000:.0f}",
            # A process that froze in mid-transaction must not hold the writer's lock for ever.
            "idle_in_transaction_session_timeout": f"{idle_s * 1000:.0f}",
            # Whatever the server or the role is set to: a claim must be on the disk before its POST.
            "synchronous_commit": "on",
            "timezone": "UTC",
        },
    )


def _engine(connect: Any, size: int, isolation_level: Any) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        hide_parameters=True,
        json_deserializer=orjson.loads,
        isolation_level=isolation_level,
        pool_size=size,
        max_overflow=0,
        pool_timeout=database.BUSY_TIMEOUT_S,
        pool_recycle=_RECYCLE_S,
        pool_pre_ping=True,
    )


async def _result(transaction: Coroutine[Any, Any, T]) -> T:
    try:
        return await execute(asyncio.ensure_future(transaction))
    except FAILURES as problem:
        raise translated(problem) from problem
