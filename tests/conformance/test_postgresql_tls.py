"""PostgreSQL over TLS: who is not the server that the URL names is told nothing, not even a user's name."""

from pathlib import Path
from urllib.parse import quote

import pytest

from service.domain.errors import DatabaseUnusableError
from service.store.store import open_store
from tests.support.authority import Authority
from tests.support.databases import PostgresqlServer
from tests.support.given import Given
from tests.support.postgresql_tls import tls_before


@pytest.fixture
def url(postgresql_server: PostgresqlServer) -> str:
    """Return the URL of a migrated database, through a socket."""
    return postgresql_server.new("encrypted")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the CA that the service trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


def through(port: int, authority: Authority, *, host: str = "localhost", mode: str = "verify-full") -> str:
    """Return the URL as somebody sets it who wants to be sure of the server."""
    trusted = quote(str(authority.file), safe="")
    return (
        f"postgresql://postgres:canary@{host}:{port}/encrypted?sslmode={mode}"
        f"&sslrootcert={trusted}&channel_binding=prefer&sslsni=1"
    )


async def test_the_server_that_was_meant_is_talked_to_over_tls(url: str, authority: Authority) -> None:
    """Every connection of the process is, and it reads and writes as without."""
    async with tls_before(url, authority.server_context("localhost")) as (front, port):
        async with open_store(through(port, authority)) as store:
            assert await store.health() == "ok"
            await Given(store).a_run("over-tls")
            assert (await store.history.get_run("over-tls")).run_id == "over-tls"
        assert front.encrypted >= 2


@pytest.mark.parametrize("name", ["127.0.0.1", "db.example"])
async def test_a_certificate_of_another_host_is_refused(url: str, authority: Authority, name: str) -> None:
    """`verify-full` compares the name in the URL, also where the same CA signed for both."""
    async with tls_before(url, authority.server_context(name)) as (_, port):
        with pytest.raises(DatabaseUnusableError, match="certificate") as refused:
            async with open_store(through(port, authority)):
                pass
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_certificate_of_another_authority_is_refused(
    url: str, authority: Authority, tmp_path: Path, mode: str
) -> None:
    """Whoever made a certificate for the right name by himself is nobody."""
    async with tls_before(url, Authority(tmp_path).server_context("localhost")) as (_, port):
        with pytest.raises(DatabaseUnusableError, match="certificate"):
            async with open_store(through(port, authority, mode=mode)):
                pass


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_a_server_without_tls_is_refused(url: str, authority: Authority, mode: str) -> None:
    """Nobody between the two can talk them out of it."""
    async with tls_before(url, None) as (_, port):
        with pytest.raises(DatabaseUnusableError, match="cannot be reached"):
            async with open_store(through(port, authority, mode=mode)):
                pass


async def test_require_encrypts_and_trusts_everybody(url: str, authority: Authority, tmp_path: Path) -> None:
    """The document warns of it: without a CA in the URL `require` verifies nothing, as with libpq."""
    async with tls_before(url, Authority(tmp_path).server_context("db.example")) as (front, port):
        blind = through(port, authority, mode="require").replace("&sslrootcert=", "&application_name=")
        async with open_store(blind) as store:
            assert await store.health() == "ok"
        assert front.encrypted
