"""Opening: the backend that a URL names, with its schema brought up to date."""

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from service.errors import DatabaseSchemaNewerError, DatabaseUnusableError
from service.store import schema
from service.store.database import Database
from service.store.sqlite import SqliteDatabase


async def open_database(url: str) -> Database:
    """Connect, create or upgrade the schema, and return the database.

    `url` is `sqlite:///path` or `postgresql://…`. Raises DatabaseUnusableError, and DatabaseSchemaNewerError
    when the schema is of a later version than this one.
    """
    try:
        parsed = sa.make_url(url)
    except (SQLAlchemyError, ValueError):
        raise DatabaseUnusableError("DATABASE_URL is not a database URL") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        database: Database = SqliteDatabase(parsed)
    elif backend in {"postgresql", "postgres"}:
        from service.store.postgresql import PostgresqlDatabase  # noqa: PLC0415  # loads asyncpg, if wanted

        database = PostgresqlDatabase(url)
    else:
        raise DatabaseUnusableError(f"DATABASE_URL: {backend} is not supported; use sqlite or postgresql")
    try:
        await database.open()
        await _bring_up_to_date(database)
    except BaseException:
        await database.close()
        raise
    return database


async def _bring_up_to_date(database: Database) -> None:
    if await database.read(_is_outdated):
        await database.write(_upgrade)


def _upgrade(connection: sa.Connection) -> None:
    # Asked again inside the write transaction: of several processes that start at once, one does it.
    if _is_outdated(connection):
        from service.store.migrations import upgrade_to_newest  # noqa: PLC0415  # slow, and rarely needed

        upgrade_to_newest(connection)


def _is_outdated(connection: sa.Connection) -> bool:
    """Tell whether the schema has to be created or upgraded; raises DatabaseSchemaNewerError."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return True
    found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if found is not None and str(found) > schema.NEWEST_REVISION:
        raise DatabaseSchemaNewerError(
            f"the database's schema is version {found}, newer than {schema.NEWEST_REVISION}, the last that "
            "this version of the service knows; deploy the newer version"
        )
    return bool(found != schema.NEWEST_REVISION)
