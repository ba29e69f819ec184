"""PostgreSQL's addresses as people write them, and what its server can say no to."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

import service.store.database
from service.domain.errors import DatabaseUnusableError
from service.store.database.postgresql import asyncpg_dsn
from service.store.store import open_store
from tests.support.databases import PostgresqlServer
from tests.support.given import Given


@pytest.fixture
def url(postgresql_server: PostgresqlServer) -> str:
    """Return the URL of a migrated database, through a socket."""
    return postgresql_server.new("addresses")


def _socket_folder(url: str) -> str:
    (folder,) = parse_qs(urlsplit(url).query)["host"]
    return folder


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg2"])
async def test_every_spelling_of_the_scheme_connects(url: str, scheme: str) -> None:
    """What a cloud console hands out works as it is, whichever driver it was meant for."""
    async with open_store(url.replace("postgresql", scheme, 1)) as store:
        assert await store.health() == "ok"


@pytest.mark.parametrize(
    "query", ["sslmode=disable", "sslmode=prefer", "ssl=prefer", "sslmode=prefer&sslsni=1"]
)
async def test_ssl_is_asked_for_as_libpq_does(url: str, query: str) -> None:
    """`sslmode` in the URL is understood, as is what only libpq knows."""
    async with open_store(f"{url}&{query}&channel_binding=prefer&connect_timeout=3") as store:
        assert await store.health() == "ok"


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Return a folder whose path leaves room in the 107 bytes that a socket's may have."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


async def test_a_folder_of_sockets_with_colons_is_no_port(url: str, short_path: Path) -> None:
    """A socket at `/cloudsql/project:region:instance` is found."""
    folder = short_path / "project:region:instance"
    folder.symlink_to(_socket_folder(url))
    for host in (str(folder), quote(str(folder), safe="")):
        async with open_store(f"postgresql://postgres:any%40thing@/addresses?host={host}") as store:
            assert await store.health() == "ok"


async def test_connections_are_few_and_have_a_name(url: str) -> None:
    """A process opens a handful of connections at most, by which a person recognises the service."""
    async with open_store(url) as store:
        statement = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'risk-alerts'"
        (found,) = await Given(store).sql(statement)
        assert 1 <= found["n"] <= 5


async def test_a_writer_that_froze_does_not_hold_the_lock_for_ever(url: str) -> None:
    """The server itself ends a transaction in which nothing happens any more, and a wait without end."""
    async with open_store(url) as store:
        given = Given(store)
        for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):
            assert await given.sql(f"SHOW {setting}") == [{setting: "10s"}]


async def test_no_setting_of_others_makes_commits_less_durable(url: str) -> None:
    """Whether server, database, role or URL ask not to wait for the disk: a commit waits for it."""
    async with open_store(url) as store:
        await Given(store).sql("ALTER DATABASE addresses SET synchronous_commit = off")
        await Given(store).sql("ALTER ROLE postgres SET synchronous_commit = off")
    try:
        async with open_store(f"{url}&synchronous_commit=off&options=-csynchronous_commit%3Doff") as store:
            assert await Given(store).sql("SHOW synchronous_commit") == [{"synchronous_commit": "on"}]
    finally:
        async with open_store(url) as store:
            await Given(store).sql("ALTER DATABASE addresses RESET synchronous_commit")
            await Given(store).sql("ALTER ROLE postgres RESET synchronous_commit")


async def test_a_connection_that_was_lost_is_replaced(url: str) -> None:
    """After the server has dropped its connections the next verb works."""
    async with open_store(url) as store:
        given = Given(store)
        await given.a_run("lost0")
        async with open_store(url) as other:
            await Given(other).sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert (await store.history.get_run("lost0")).run_id == "lost0"
        await given.a_run("lost1")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("postgresql://postgres@/nowhere?host={socket}", "its server has no database of this name"),
        ("postgresql://canary@/addresses?host={socket}", "its server refused this user"),
        ("postgresql://postgres:canary@127.0.0.1:1/addresses", "its server cannot be reached"),
        ("postgresql://postgres:canary@/addresses?host=/canary/a:b:c", "its server cannot be reached"),
        (
            "postgresql://postgres:canary@/addresses?host={socket}&sslmode=canary",
            "the database cannot be used",
        ),
        ("postgresql://postgres:canary@/addresses?host={socket}&canary=1", "the database cannot be used"),
        ("postgresql://postgres:canary@host:canary/addresses", "DATABASE_URL"),
    ],
)
async def test_what_keeps_the_server_away_is_reported_without_the_address(
    url: str, broken: str, says: str
) -> None:
    """Whatever keeps the server away is one kind of error, and quotes neither user nor password."""
    with pytest.raises(DatabaseUnusableError, match=says) as unusable:
        async with open_store(broken.format(socket=_socket_folder(url))):
            pass
    assert "canary" not in str(unusable.value)


async def test_a_read_only_server_can_be_looked_at_and_is_unhealthy(url: str) -> None:
    """On a standby what was recorded can be read, and health says why nothing can be written."""
    async with open_store(f"{url}&default_transaction_read_only=on") as store:
        assert await store.outbox.undelivered() == {}
        with pytest.raises(DatabaseUnusableError, match="it is read-only"):
            await store.health()


@pytest.mark.parametrize(
    ("url", "dsn"),
    [
        (
            "postgres://u:p%40ss@h:5433/d?sslmode=verify-full&sslrootcert=/ca.pem&gssencmode=disable",
            "postgresql://u:p%40ss@h:5433/d?sslmode=verify-full&sslrootcert=%2Fca.pem&application_name=risk-alerts",
        ),
        (
            "postgresql+asyncpg://u@/d?ssl=require&application_name=mine",
            "postgresql://u@/d?sslmode=require&application_name=mine",
        ),
    ],
)
def test_a_url_becomes_a_dsn_of_asyncpg(url: str, dsn: str) -> None:
    """User, password and place go through as they are; the query is put into asyncpg's words."""
    assert asyncpg_dsn(url) == dsn


async def test_without_its_driver_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver is an extra: whoever names a PostgreSQL database without it hears its name."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, "service.store.database.postgresql", raising=False)
    monkeypatch.delattr(service.store.database, "postgresql", raising=False)
    with pytest.raises(DatabaseUnusableError, match=r"risk-alerts\[postgres\]"):
        async with open_store("postgresql://127.0.0.1:1/nowhere"):
            pass
