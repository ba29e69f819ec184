"""PostgreSQL going away: connections that are lost before, at and after a commit."""

from collections.abc import AsyncIterator
from typing import Literal

import pytest

from service.domain.errors import DatabaseUnusableError
from service.store.database import postgresql
from service.store.database.failures import DatabaseBusyError, DatabaseUnavailableError
from service.store.store import Store, open_store
from tests.support.databases import PostgresqlServer
from tests.support.given import Given, routed, the_answer
from tests.support.postgresql_proxy import Proxy, proxy_before


@pytest.fixture
async def proxy(postgresql_server: PostgresqlServer) -> AsyncIterator[Proxy]:
    """Run a proxy before a fresh database."""
    async with proxy_before(postgresql_server.new()) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: Proxy) -> AsyncIterator[Store]:
    """Open a store that reaches its database through the proxy."""
    async with open_store(proxy.url) as store:
        yield store


async def _runs(given: Given) -> list[str]:
    return [row["run_id"] for row in await given.sql("SELECT run_id FROM runs ORDER BY run_id")]


async def test_a_commit_whose_answer_is_lost_has_happened(given: Given, proxy: Proxy) -> None:
    """The server is asked what became of it: the verb returns as if nothing had been."""
    proxy.loses = "answer"
    await given.a_run("r1")
    assert proxy.lost == 1
    assert await _runs(given) == ["r1"]


async def test_a_commit_that_is_lost_has_changed_nothing(given: Given, proxy: Proxy) -> None:
    """It raises what is worth another try, and that one finds nothing in its way."""
    proxy.loses = "commit"
    with pytest.raises(DatabaseUnavailableError):
        await given.a_run("r1")
    assert proxy.lost == 1
    assert await _runs(given) == []
    await given.a_run("r1")
    assert await _runs(given) == ["r1"]


async def test_a_claim_whose_answer_is_lost_is_granted(given: Given, proxy: Proxy) -> None:
    """The alert is not left `sending` without anybody who sends it, and its settlement survives as well."""
    lease, (entry,) = await given.a_recorded("r1", routed("a"))
    proxy.loses = "answer"
    assert await given.claimed(lease, [entry]) == {entry.alert_id}
    proxy.loses = "answer"
    await given.settled(lease, the_answer(entry))
    assert proxy.lost == 2
    assert await given.status_of("a") == "sent"


async def test_a_claim_that_is_lost_can_be_made_again(given: Given, proxy: Proxy) -> None:
    """What was never committed is granted at the next try."""
    lease, entries = await given.a_recorded("r1", routed("a"))
    proxy.loses = "commit"
    with pytest.raises(DatabaseUnavailableError):
        await given.claimed(lease, entries)
    assert await given.claimed(lease, entries) == {entries[0].alert_id}


async def test_processes_leave_no_rows_behind_for_ever(given: Given, proxy: Proxy) -> None:
    """Each process has one row for its last commit; who writes first deletes those of a day ago, or ahead."""
    for number in range(3):
        await given.a_run(f"r{number}")
    day_s = 24 * 3600
    for age in (-2 * day_s, -day_s / 2, day_s / 2, 2 * day_s):
        moment = f"extract(epoch from clock_timestamp()) + {age}"
        await given.sql(f"INSERT INTO last_commits VALUES ('{age}', 1, {moment})")  # noqa: S608  # numbers
    assert len(await given.sql("SELECT 1 FROM last_commits")) == 1 + 4
    async with open_store(proxy.url) as other:
        await Given(other).a_run("r3")
        assert len(await given.sql("SELECT 1 FROM last_commits")) == 2 + 2


@pytest.mark.parametrize("loses", ["answer", "commit"])
async def test_what_nobody_can_find_out_is_not_tried_again(
    given: Given, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, loses: Literal["answer", "commit"]
) -> None:
    """With the server gone right after a commit, the error is none that invites another try."""
    monkeypatch.setattr(postgresql, "COMMIT_PATIENCE_S", 0.5)
    proxy.loses, proxy.then_is_gone = loses, True
    with pytest.raises(DatabaseUnusableError, match="cannot be found out") as unusable:
        await given.a_run("r1")
    assert not isinstance(unusable.value, DatabaseUnavailableError | DatabaseBusyError)
    with pytest.raises(DatabaseUnavailableError):
        await given.store.history.get_run("r1")
