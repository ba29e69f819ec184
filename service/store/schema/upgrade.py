"""Opening: the backend that a URL names, its schema brought up to date, or as it is found to be read."""

from types import ModuleType

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from service.domain.errors import DatabaseOutdatedError, DatabaseSchemaNewerError, DatabaseUnusableError
from service.domain.identity.scope import Scope
from service.store.database.database import Database
from service.store.database.reader import SqliteReader
from service.store.database.sqlite import SqliteDatabase
from service.store.schema import tables as schema
from service.store.schema.creation import create_newest


async def open_database(url: str) -> Database:
    """Connect, create or upgrade the schema, and return the database.

    `url` is `sqlite:///path` or `postgresql://…`. Raises DatabaseUnusableError, and DatabaseSchemaNewerError
    when the schema is of a later version than this one.
    """
    return (await _upgraded(url))[0]


async def upgrade_database(url: str) -> str | None:
    """Create or upgrade the schema, and return the version that it had; None where there was no schema.

    Raises as `open_database` does.
    """
    database, before = await _upgraded(url)
    await database.close()
    return before


async def _upgraded(url: str) -> tuple[Database, str | None]:
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite":
        database: Database = SqliteDatabase(parsed)
    else:
        database = postgresql_backend().PostgresqlDatabase(url)
    try:
        await database.open()
        before = await database.read(schema_version)
        if before != schema.NEWEST_REVISION:
            await database.read(_check_owner)
            await database.within(Scope.of_all()).write(upgrade_schema, repeatable=True)
    except BaseException:
        await database.close()
        raise
    return database, before


async def open_database_to_read(url: str) -> Database:
    """Connect and return the database as it is; a missing one, or one without a schema, is empty.

    Raises DatabaseUnusableError, DatabaseOutdatedError and DatabaseSchemaNewerError.
    """
    parsed = parsed_url(url)
    database: Database | None
    if parsed.get_backend_name() == "sqlite":
        database = SqliteReader.of(parsed)
    else:
        database = postgresql_backend().PostgresqlDatabase(url)
    if database is None:
        return SqliteReader.empty()
    try:
        await database.open()
        version = await database.read(_readable_version)
    except BaseException:
        await database.close()
        raise
    if version is None:
        await database.close()
        return SqliteReader.empty()
    return database


def postgresql_backend() -> ModuleType:
    """Load what speaks to PostgreSQL; raises DatabaseUnusableError where the extra is not installed."""
    try:
        from service.store.database import postgresql  # noqa: PLC0415  # only where it is wanted
    except ModuleNotFoundError as missing:
        if missing.name != "asyncpg":
            raise
        raise DatabaseUnusableError(
            "PostgreSQL needs the extra `postgres`: pip install 'risk-alerts[postgres]'"
        ) from None
    return postgresql


def parsed_url(url: str, *, name: str = "DATABASE_URL") -> sa.URL:
    """Take a database URL apart; raises DatabaseUnusableError, which calls it `name`."""
    try:
        parsed = sa.make_url(url)
    except (SQLAlchemyError, ValueError):
        raise DatabaseUnusableError(f"{name} is not a database URL") from None
    backend = parsed.get_backend_name()
    if backend not in {"sqlite", "postgresql", "postgres"}:
        raise DatabaseUnusableError(f"{name}: {backend} is not supported; use sqlite or postgresql")
    return parsed


def upgrade_schema(connection: sa.Connection) -> None:
    """Create or upgrade the schema in the caller's transaction; raises DatabaseSchemaNewerError."""
    # Asked again inside the write transaction: of several processes that start at once, one does it.
    version = schema_version(connection)
    if version is None and connection.dialect.name == "sqlite":
        create_newest(connection)
        version = schema_version(connection)
    if version != schema.NEWEST_REVISION:
        from service.store.schema.migrations import upgrade_to_newest  # noqa: PLC0415  # slow, and rarely needed

        upgrade_to_newest(connection)


def is_outdated(connection: sa.Connection) -> bool:
    """Return whether the schema has to be created or upgraded; raises DatabaseSchemaNewerError."""
    return schema_version(connection) != schema.NEWEST_REVISION


def _readable_version(connection: sa.Connection) -> str | None:
    version = schema_version(connection)
    if version in {None, schema.NEWEST_REVISION}:
        return version
    raise _outdated(version)


def _outdated(version: str | None) -> DatabaseOutdatedError:
    return DatabaseOutdatedError(
        f"the database's schema is version {version}, and this version of the service reads "
        f"{schema.NEWEST_REVISION}: run `risk-alerts db upgrade`, on PostgreSQL as the owner of the tables"
    )


def _check_owner(connection: sa.Connection) -> None:
    """Raise DatabaseOutdatedError unless this user may change the schema: PostgreSQL asks for its owner."""
    if connection.dialect.name != "postgresql":
        return
    version = schema_version(connection)
    from sqlalchemy.dialects.postgresql import REGCLASS  # noqa: PLC0415  # slow, and rarely needed

    owned = (
        sa.select(sa.func.pg_has_role(sa.column("relowner"), "USAGE"))
        .select_from(sa.table("pg_class"))
        .where(sa.column("oid") == sa.cast("alembic_version", REGCLASS))
    )
    if version is not None and not connection.scalar(owned):
        raise _outdated(version)


def schema_version(connection: sa.Connection) -> str | None:
    """Return the schema's version, or None where there is no schema; raises DatabaseSchemaNewerError."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if found is not None and str(found) > schema.NEWEST_REVISION:
        raise DatabaseSchemaNewerError(
            f"the database's schema is version {found}, newer than {schema.NEWEST_REVISION}, the last that "
            "this version of the service knows; deploy the newer version"
        )
    return None if found is None else str(found)
