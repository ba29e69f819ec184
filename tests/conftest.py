"""Fixtures for every folder: one mock Slack, one database server, and what stands on them.

What they are made of is in `tests/support/`; a folder's own conftest has only what no other folder needs.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mock_slack.running import RunningMock, running_mock
from tests.support.clocks import ScaledClock
from tests.support.databases import Backend, PostgresqlServer, migrate, running_postgresql
from tests.support.house import FAST, House
from tests.support.site import Site

# No test looks into, or writes to, the ledger of the person who runs it.
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="risk-alerts-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_DATA_HOME"], ignore_errors=True)

# Nor does one speak TLS with anybody outside: to read the system's certificates takes every app 25 ms of CPU.
os.environ["SSL_CERT_FILE"] = os.devnull

# How long an example takes says more about the machine than about the code; a test's own timeout stays.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")


@pytest.fixture(scope="session")
def one_slack() -> Iterator[RunningMock]:
    """Run a mock Slack on the machine's own time for as long as the tests last."""
    with running_mock() as mock:
        yield mock


@pytest.fixture
def slack(one_slack: RunningMock) -> RunningMock:
    """Return a mock Slack, on the machine's own time, to which nothing has been sent yet."""
    one_slack.reset()
    return one_slack


@pytest.fixture(scope="session")
def fast_clock() -> ScaledClock:
    """Return the clock that the service and the mock share: an hour's pause takes a minute and a half."""
    return ScaledClock(FAST)


@pytest.fixture(scope="session")
def one_fast_slack(fast_clock: ScaledClock) -> Iterator[RunningMock]:
    """Run a mock Slack on the fast clock for as long as the tests last."""
    with running_mock(clock=fast_clock.monotonic, wall=lambda: fast_clock.now().timestamp()) as mock:
        yield mock


@pytest.fixture
def house(one_fast_slack: RunningMock, fast_clock: ScaledClock, tmp_path: Path) -> House:
    """Return a house in which nothing has happened yet."""
    one_fast_slack.reset()
    return House(folder=tmp_path, slack=one_fast_slack, clock=fast_clock)


@pytest.fixture
def site(slack: RunningMock, tmp_path: Path) -> Site:
    """Return a site, for processes that are killed and started again, in which nothing has happened yet."""
    return Site(folder=tmp_path, webhook_base_url=slack.webhook_base_url)


@pytest.fixture(scope="session")
def one_postgresql_server() -> Iterator[PostgresqlServer]:
    """Run a PostgreSQL server for as long as the tests of this process last."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgresql())
        except (ImportError, OSError, subprocess.CalledProcessError) as problem:
            pytest.skip(f"the PostgreSQL server cannot start here: {problem!r}")
        yield server


@pytest.fixture
def postgresql_server(one_postgresql_server: PostgresqlServer) -> Iterator[PostgresqlServer]:
    """Return a PostgreSQL server whose databases are dropped after the test."""
    yield one_postgresql_server
    one_postgresql_server.drop_databases()


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a migrated database `migrated.db` to copy."""
    folder = tmp_path_factory.mktemp("sqlite")
    migrate(f"sqlite:///{folder}/migrated.db")
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, sqlite_folder: Path) -> Backend:
    """Return a backend: the test runs once for each."""
    if request.param == "sqlite":
        return Backend(name="sqlite", folder=sqlite_folder)
    return Backend(
        name="postgresql", folder=sqlite_folder, server=request.getfixturevalue("postgresql_server")
    )


@pytest.fixture
def database_url(backend: Backend) -> str:
    """Return the URL of a migrated database that only this test uses."""
    return backend.new()
