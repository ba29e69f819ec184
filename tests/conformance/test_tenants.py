"""Tenants: two share a database, the same accounts and the same keys, and neither sees a row of the other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from service.account_risk.kind import month_request
from service.domain.delivery_status import AmbiguousSends, DeliveryStatus, SettleAs
from service.domain.errors import AlertNotFoundError, BadCursorError, OvertakenError, RunNotFoundError
from service.domain.source_uri import SourceUri
from service.domain.tenant import DEFAULT_TENANT
from service.store.runs.state import Lease
from service.store.store import Store, open_store
from tests.support.alerts import MONTH, an_alert
from tests.support.given import (
    CHANNELS,
    LEASE_S,
    NOW,
    RESTATABLE,
    SOURCE,
    Given,
    an_evaluation,
    routed,
    scope_of,
    the_answer,
)

OTHER_TENANT: Final = "11111111-2222-4333-8444-555555555555"
OURS: Final = an_alert("acme")
THEIRS: Final = replace(OURS, tenant_id=OTHER_TENANT)
HOLD: Final = AmbiguousSends.HOLD


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Store]:
    """Open the store of another tenant on the same database."""
    async with open_store(database_url, tenant_id=OTHER_TENANT) as store:
        yield store


@pytest.fixture
async def lease(given: Given) -> Lease:
    """Let the default tenant have a run with one alert in doubt and one pending."""
    lease = await given.a_lease("ours")
    await given.recorded(lease, routed(OURS, an_alert("later")))
    (first, _) = await given.pending(lease)
    await given.claimed(lease, [first])
    await given.settled(lease, the_answer(first, DeliveryStatus.UNKNOWN))
    return lease


async def test_the_same_account_is_an_alert_of_each(given: Given, other: Store, lease: Lease) -> None:
    """The default tenant's id is what it always was, the other's has the tenant in it; both are sent."""
    assert OURS.alert_id != THEIRS.alert_id
    assert OURS.tenant_id == DEFAULT_TENANT
    theirs = Given(other)
    held = await theirs.a_lease("theirs")
    assert (held.scope, held.epoch, lease.scope) == (lease.scope, 1, held.scope)
    await theirs.recorded(held, routed(THEIRS))
    await theirs.all_sent(held)
    await theirs.finished("theirs", alerts=1)
    assert set(await other.recording.standings(scope_of(MONTH), SOURCE)) == {THEIRS.alert_id}
    assert THEIRS.alert_id not in await given.store.recording.standings(scope_of(MONTH), SOURCE)
    assert await other.outbox.undelivered() == {}
    assert await given.store.outbox.undelivered() == {"unknown": 1, "pending": 1}
    assert [run.run_id for run in (await other.history.list_runs(limit=9)).items] == ["theirs"]
    assert [run.run_id for run in (await given.store.history.list_runs(limit=9)).items] == ["ours"]


_Ask = Callable[[Store, Lease], Awaitable[Any]]
ABSENT: Final[dict[str, tuple[type[Exception], _Ask]]] = {
    "run": (RunNotFoundError, lambda store, lease: store.history.get_run(lease.run_id)),
    "alerts": (RunNotFoundError, lambda store, lease: store.history.list_alerts(lease.run_id, limit=9)),
    "withdrawn": (RunNotFoundError, lambda store, lease: store.history.list_withdrawn(lease.run_id, limit=9)),
    "unrouted": (RunNotFoundError, lambda store, lease: store.history.alerts_without_channel(lease.run_id)),
    "end": (RunNotFoundError, lambda store, lease: store.requests.end_of(lease.run_id)),
    "cancel": (RunNotFoundError, lambda store, lease: store.runs.cancel(lease.run_id, now=NOW)),
    "alert": (AlertNotFoundError, lambda store, _: store.history.get_alert(OURS.alert_id)),
    "settle": (
        AlertNotFoundError,
        lambda store, _: store.doubts.settle(OURS.alert_id, SettleAs.SENT, by="eve", note=None, now=NOW),
    ),
    "settle run": (
        RunNotFoundError,
        lambda store, lease: store.doubts.settle_run(
            lease.run_id, SettleAs.SENT, by="eve", note=None, now=NOW
        ),
    ),
    "heartbeat": (
        OvertakenError,
        lambda store, lease: store.runs.keep_alive(lease.run_id, lease_s=LEASE_S, progress={}),
    ),
    "lease": (
        OvertakenError,
        lambda store, lease: store.runs.acquire_lease(lease.run_id, lease.scope, now=NOW),
    ),
    "evaluation": (
        OvertakenError,
        lambda store, lease: store.runs.note_evaluation(lease.run_id, an_evaluation(1)),
    ),
    "record": (
        OvertakenError,
        lambda store, lease: store.recording.record(
            lease, [], ambiguous=HOLD, restatable=RESTATABLE, now=NOW
        ),
    ),
    "rehearse": (
        OvertakenError,
        lambda store, lease: store.recording.record_dry_run(
            lease.run_id, lease.scope, [], ambiguous=HOLD, restatable=RESTATABLE
        ),
    ),
    "release": (OvertakenError, lambda store, lease: store.runs.release(lease, now=NOW)),
    "finish": (
        OvertakenError,
        lambda store, lease: store.runs.finish(lease.run_id, now=NOW, error=None),
    ),
    "notified": (
        OvertakenError,
        lambda store, lease: store.runs.note_support_notified(lease.run_id, now=NOW),
    ),
}


@pytest.mark.parametrize("verb", ABSENT)
async def test_what_is_somebody_elses_is_absent(given: Given, other: Store, lease: Lease, verb: str) -> None:
    """Every verb that is given another's run or alert answers as if there were none, and changes nothing."""
    error, ask = ABSENT[verb]
    before = await _rows(given)
    with pytest.raises(error):
        await ask(other, lease)
    assert await _rows(given) == before


async def _rows(given: Given) -> list[list[dict[str, Any]]]:
    tables = "runs", "leases", "outbox", "run_outcomes", "doubt_settlements"
    return [await given.sql(f"SELECT * FROM {table}") for table in tables]  # noqa: S608  # our own names


async def test_nobody_sends_what_is_somebody_elses(given: Given, other: Store, lease: Lease) -> None:
    """Neither is it handed out to another tenant, nor claimed or settled by one."""
    assert await other.outbox.pending(lease, CHANNELS, after=-1, limit=9) == []
    assert await other.recording.withdrawable([OURS.alert_id]) == []
    (entry,) = await given.pending(lease)
    claimed = await other.outbox.settle_and_claim(lease, [], [entry], now=NOW, lease_s=LEASE_S)
    assert claimed.is_overtaken
    assert await given.claimed(lease, [entry]) == {entry.alert_id}
    settled = await Given(other).settled(lease, the_answer(entry))
    assert settled == set()
    assert await given.status_of("later") == "sending"


async def test_a_sweep_looks_after_its_own(given: Given, other: Store, lease: Lease) -> None:
    """Another tenant's dead run is neither closed nor resumed, and what is old of it stays."""
    await given.expired(lease.run_id)
    since = NOW - timedelta(days=1)
    assert await other.rescue.close_dead(now=NOW) == []
    assert await other.rescue.resumable(since=since, kinds=["account_risk"]) == []
    assert await other.rescue.resume(lease.run_id, since=since, now=NOW, lease_s=LEASE_S) is None
    assert await other.retention.prune(before=NOW + timedelta(days=999)) == {}
    assert [run.run_id for run in await given.store.rescue.close_dead(now=NOW)] == ["ours"]


async def test_a_key_is_its_tenants(given: Given, other: Store) -> None:
    """The same key and the same words are another request where another tenant says them."""
    request = month_request(SourceUri.parse(SOURCE), MONTH, idempotency_key="monday")
    await given.store.runs.begin("ours", request, started_at=NOW, lease_s=LEASE_S)
    assert await other.requests.run_of(request) is None
    await other.runs.begin("theirs", request, started_at=NOW, lease_s=LEASE_S)
    assert await given.store.requests.run_of(request) == "ours"
    assert await other.requests.run_of(request) == "theirs"


async def test_a_cursor_into_somebody_elses_list_is_foreign(given: Given, other: Store) -> None:
    """A cursor that another tenant's list gave out leads nowhere."""
    for number in range(3):
        await given.a_run(f"r{number}")
    page = await given.store.history.list_runs(limit=1)
    with pytest.raises(BadCursorError):
        await other.history.list_runs(limit=1, cursor=page.next_cursor)
