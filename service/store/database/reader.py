"""A ledger that is only read: a SQLite file left as it is found, or an empty database that is nowhere."""

from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote, unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from service.domain.errors import DatabaseUnusableError
from service.store.database.database import Work
from service.store.database.sqlite import SqliteReads, path_of, reading_engine
from service.store.schema.creation import create_newest

T = TypeVar("T")


class SqliteReader(SqliteReads):
    """Reads a SQLite file; neither makes it nor changes its mode or its rights."""

    @classmethod
    def of(cls, url: sa.URL) -> Self | None:
        """Return a reader of the file that `url` names, or None where there is none.

        Raises DatabaseUnusableError when it names none at all.
        """
        name = path_of(url, "DATABASE_URL")
        path = Path(unquote(urlsplit(name).path)) if name.startswith("file:") else Path(name)
        try:
            path.stat()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise DatabaseUnusableError(
                f"the database cannot be read: {problem.strerror}: {path}"
            ) from problem
        # What a process that was killed left in the log is read and not put in order: a writer does that.
        # Without a log SQLite makes one even to read, and removes it only where it may write.
        mode = "ro" if Path(f"{path}-wal").exists() else "rw"
        uri = name if name.startswith("file:") else f"file:{quote(name)}"
        options = {"mode": mode, **url.query, "uri": "true"}
        return cls(reading_engine(url.set(database=uri, query=options), 1), threads=1)

    @classmethod
    def empty(cls) -> Self:
        """Return a new database in memory: one that is missing reads so."""
        engine = sa.create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        with engine.begin() as connection:
            create_newest(connection)
        return cls(engine, threads=1)

    async def open(self) -> None:
        """Connect; raises DatabaseUnusableError."""
        await self.read(lambda connection: connection.exec_driver_sql("PRAGMA schema_version"))

    async def write(self, work: Work[T], *, repeatable: bool = False) -> T:
        """Refuse: nothing is written here."""
        raise TypeError(f"opened to be read: {work} {repeatable}")

    async def close(self) -> None:
        """Close the connection."""
        self._reading.shutdown()
        self._readers.dispose()
