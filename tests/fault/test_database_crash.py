"""PostgreSQL killed with a commit on its way: what became of that commit is read in the data.

After a crash the server hands out again the transaction numbers that it had not flushed, so that the number
of a lost commit may be somebody else's by the time it is asked about, or lie in the future.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Final, Literal

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.domain.month import Month
from service.store.database.failures import DatabaseUnavailableError
from service.store.store import open_store
from tests.support.databases import PostgresqlServer, running_postgresql
from tests.support.given import Given, routed
from tests.support.postgresql_proxy import Proxy, proxy_before
from tests.support.processes import service
from tests.support.rows import MONTH, account, write_source
from tests.support.site import AMER, PATIENT, Site, accepted_by, alerts_of, ask, posting
from tests.support.waiting import PATIENCE_S, until, wait_until

pytestmark = pytest.mark.fault

FEBRUARY: Final = "2026-02-01"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """Run a server that only these tests kill."""
    with running_postgresql() as server:
        # Nothing that is not committed is flushed in passing: its number is certain to be handed out again.
        server.configure(wal_writer_delay="10s")
        yield server


@pytest.fixture
def url(server: PostgresqlServer) -> str:
    """Return the URL of a migrated database."""
    return server.new()


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("loses", ["commit", "answer"])
async def test_a_claim_is_made_or_not_as_the_ledger_says(
    server: PostgresqlServer, url: str, loses: Literal["commit", "answer"], instances: int
) -> None:
    """A claim that the server forgot is not believed, whoever has its number now; one that it kept is."""

    async def crash() -> None:
        await asyncio.to_thread(server.crash)
        if instances == 2:
            async with open_store(url) as other:
                for number in range(2, 12):
                    await Given(other).a_run(f"r{number}", month=Month.parse(FEBRUARY))

    async with proxy_before(url) as proxy, open_store(proxy.url) as store:
        given = Given(store)
        lease = await given.a_lease("r1")
        await given.recorded(lease, routed("a"))
        (entry,) = await given.pending(lease)
        proxy.loses, proxy.meanwhile = loses, crash
        if loses == "commit":
            with pytest.raises(DatabaseUnavailableError):
                await given.claimed(lease, [entry])
            assert await given.status_of("a") == "pending"
        else:
            assert await given.claimed(lease, [entry]) == {entry.alert_id}
            assert await given.status_of("a") == "sending"
        assert proxy.lost == 1


async def test_what_was_answered_survives_whatever_the_server_was_set_to(
    server: PostgresqlServer, url: str
) -> None:
    """A commit is on the disk when it is answered, also where the server's own setting is not to wait."""
    server.configure(synchronous_commit="off")
    try:
        async with open_store(url) as store:
            for number in range(20):
                await Given(store).a_run(f"r{number}")
            await asyncio.to_thread(server.crash)
            assert len((await store.history.list_runs(limit=100)).items) == 20
    finally:
        server.configure(synchronous_commit="on")


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("loses", ["commit", "answer"])
def test_a_run_outlives_a_crash_of_the_server(
    site: Site,
    slack: RunningMock,
    server: PostgresqlServer,
    url: str,
    loses: Literal["commit", "answer"],
    instances: int,
) -> None:
    """Killed at a commit amid the deliveries, the server comes back, and each alert goes out once."""
    slack.script(AMER, Step(delay_s=0.05, times=1_000))
    february = write_source(
        site.folder / "february.parquet", [account(f"f{n}", month=FEBRUARY) for n in range(site.count)]
    )
    with ExitStack() as stack:
        proxy = stack.enter_context(_proxy_in_a_thread(url))
        env = site.env(**PATIENT)
        services = [
            stack.enter_context(service(site.folder, env | {"DATABASE_URL": through}))
            for through in (proxy.url, url)[:instances]
        ]
        sources = ((site.source, MONTH), (february, FEBRUARY))

        async def crash() -> None:
            await asyncio.to_thread(server.crash)
            if instances == 2:
                before = slack.stats().total.accepted
                await until(lambda: slack.stats().total.accepted > before + 10, what="the other goes on")

        with ExitStack() as clients:
            for running, (source, month) in zip(services, sources, strict=False):
                clients.enter_context(posting(running, source, month=month))
            wait_until(lambda: len(ask(services[0], "/runs")["runs"]) == instances, what="all are admitted")
            wait_until(lambda: slack.stats().total.accepted >= 10 * instances, what="some have left")
            proxy.meanwhile, proxy.loses = crash, loses
        runs = ask(services[0], "/runs")["runs"]
        outcomes = {k: v for run in runs for k, v in alerts_of(services[0], run["run_id"]).items()}
    assert proxy.lost == 1
    assert [run["status"] for run in runs] == ["succeeded"] * instances
    assert accepted_by(slack) == dict.fromkeys(outcomes, 1)
    assert set(outcomes.values()) == {"sent"}
    assert len(outcomes) == instances * site.count


@contextmanager
def _proxy_in_a_thread(url: str) -> Iterator[Proxy]:
    """Run a proxy that processes can use while this thread waits for them."""
    ready: Future[Proxy] = Future()
    done = threading.Event()

    async def serve() -> None:
        async with proxy_before(url) as proxy:
            ready.set_result(proxy)
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        yield ready.result(PATIENCE_S)
    finally:
        done.set()
        thread.join()
