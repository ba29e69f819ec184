"""Copying: a whole ledger moves from one database to another, and is read back row by row.

One snapshot of the source, one transaction on the target: it holds all of the ledger afterwards, or nothing.
Rows go through in batches, so that memory does not grow with the ledger.
"""

from contextlib import AsyncExitStack, asynccontextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from service.domain.errors import DatabaseUnusableError
from service.store.database import sqlite
from service.store.database.database import DatabaseClock
from service.store.database.failures import translated
from service.store.jobs.state import IS_HELD
from service.store.schema.access_tables import tenants
from service.store.schema.every_table import metadata
from service.store.schema.job_tables import jobs
from service.store.schema.tables import last_commits, runs
from service.store.schema.upgrade import is_outdated, parsed_url, postgresql_backend, upgrade_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection  # comes with the extra `postgres`

_BATCH: Final = 500
LEDGER: Final = tuple(table for table in metadata.sorted_tables if table is not last_commits)
"""What moves to another database; the rest is about the server that it is on."""


async def copy_ledger(source_url: str, target_url: str) -> dict[str, int]:
    """Copy every table, compare every row, and return how many rows each table has.

    Raises DatabaseUnusableError, with nothing left in the target, when a database cannot be used, the target
    is not empty, the source has a run or a job at work or another schema than this version's, a row does not
    fit into the target, or one reads otherwise there; DatabaseSchemaNewerError when a schema is newer.
    """
    async with (
        _transaction(source_url, "FROM", writes=False) as source,
        _transaction(target_url, "TO", writes=True) as target,
    ):
        waiting = [one for one in (source, target) if not isinstance(one, sa.Connection)]
        if not waiting:
            return _copy(_plain(source), _plain(target))
        # The network's waiting is done by this one greenlet, in which both are used like plain connections.
        return await waiting[0].run_sync(lambda _: _copy(_plain(source), _plain(target)))


def _copy(source: sa.Connection, target: sa.Connection) -> dict[str, int]:
    _check_source(source)
    _check_target(target)
    upgrade_schema(target)
    target.execute(tenants.delete())  # the default tenant's row comes with the schema
    counts = {table.name: _copy_table(table, source, target) for table in LEDGER}
    for table in LEDGER:
        _compare(table, source, target)
    return counts


def _check_source(source: sa.Connection) -> None:
    if not sa.inspect(source).has_table(runs.name):
        raise DatabaseUnusableError("FROM holds no ledger")
    if is_outdated(source):
        raise DatabaseUnusableError("FROM has the schema of an older version: start this version on it once")
    at_work = sa.select(runs.c.run_id).where(runs.c.status == "running", runs.c.expires_at >= DatabaseClock())
    if (run_id := source.scalar(at_work.limit(1))) is not None:
        raise DatabaseUnusableError(f"FROM has a run at work ({run_id}): stop what runs on it first")
    if source.scalar(sa.select(jobs.c.id).where(IS_HELD).limit(1)) is not None:
        raise DatabaseUnusableError("FROM has a job at work: stop what runs on it first")


def _check_target(target: sa.Connection) -> None:
    there = set(sa.inspect(target).get_table_names())
    for table in (table for table in LEDGER if table is not tenants):
        if table.name in there and target.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)):
            raise DatabaseUnusableError(f"TO is not empty: {table.name} has rows")


def _copy_table(table: sa.Table, source: sa.Connection, target: sa.Connection) -> int:
    count = 0
    for batch in _rows(source, table).mappings().partitions(_BATCH):
        try:
            target.execute(table.insert(), [dict(row) for row in batch])
        except SQLAlchemyError as problem:
            # A text with NUL in it, or one longer than its column: SQLite takes both, PostgreSQL neither.
            rows = f"row {count + 1}" if len(batch) == 1 else f"rows {count + 1} to {count + len(batch)}"
            what = f"TO does not take {rows} of {table.name}: {translated(problem).detail}"
            raise DatabaseUnusableError(what) from problem
        count += len(batch)
    return count


def _compare(table: sa.Table, source: sa.Connection, target: sa.Connection) -> None:
    pairs = zip_longest(_rows(source, table), _rows(target, table))
    for number, (here, there) in enumerate(pairs, start=1):
        if here is None or there is None:
            raise DatabaseUnusableError(f"{table.name} has {'more' if here is None else 'fewer'} rows in TO")
        if tuple(here) != tuple(there):
            columns = [
                name
                for name, one, other in zip(table.columns.keys(), here, there, strict=True)
                if one != other
            ]
            raise DatabaseUnusableError(
                f"row {number} of {table.name} reads otherwise in TO: {', '.join(columns)}"
            )


def _rows(connection: sa.Connection, table: sa.Table) -> sa.CursorResult[Any]:
    """Stream a table in the order of its keys, which is the same in every database."""
    bytewise = "C" if connection.dialect.name == "postgresql" else "BINARY"
    keys = [
        sa.collate(column, bytewise) if isinstance(column.type, sa.String) else column
        for column in table.primary_key
    ]
    query = sa.select(table).order_by(*keys).execution_options(yield_per=_BATCH)
    return connection.execute(query)


def _plain(connection: "sa.Connection | AsyncConnection") -> sa.Connection:
    if isinstance(connection, sa.Connection):
        return connection
    if connection.sync_connection is None:
        raise TypeError("the connection is not open")
    return connection.sync_connection


@asynccontextmanager
async def _transaction(
    url: str, name: str, *, writes: bool
) -> "AsyncIterator[sa.Connection | AsyncConnection]":
    """Begin a transaction, and commit it if the block ends well; errors name the URL by `name`."""
    parsed = parsed_url(url, name=name)
    connection: sa.Connection | AsyncConnection
    async with AsyncExitStack() as stack:
        failures = sqlite.FAILURES
        try:
            if parsed.get_backend_name() == "sqlite":
                connection = stack.enter_context(sqlite.lone_transaction(parsed, name, writes=writes))
            else:
                postgresql = postgresql_backend()
                failures = postgresql.FAILURES
                connection = await stack.enter_async_context(postgresql.lone_transaction(url, writes=writes))
        except failures as problem:
            raise DatabaseUnusableError(f"{name}: {translated(problem).detail}") from problem
        try:
            yield connection
            await stack.aclose()
        except failures as problem:
            raise translated(problem) from problem
