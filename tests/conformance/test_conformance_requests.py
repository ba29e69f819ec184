"""Requests that are made again: a key names one run, for a day, unless that run came to nothing."""

import asyncio
from dataclasses import replace

import pytest

from service.account_risk.kind import month_request
from service.domain.errors import IdempotencyKeyReusedError, RunNotFoundError
from service.domain.run import RunError, RunRequest
from service.domain.source_uri import SourceUri
from service.store.runs.idempotency import RequestedBeforeError, RunEnd
from service.store.runs.state import Lease
from service.store.store import Store
from tests.support.alerts import MONTH
from tests.support.given import LEASE_S, NOW, Given, routed, scope_of

REQUEST = month_request(SourceUri.parse("file:///january.parquet"), MONTH, idempotency_key="monday's run")
DAY_S = 24 * 3600


async def begun(store: Store, run_id: str, request: RunRequest = REQUEST) -> str:
    """Begin a run for a request, or return the id of the one that it named before."""
    try:
        await store.runs.begin(run_id, request, started_at=NOW, lease_s=LEASE_S)
    except RequestedBeforeError as before:
        return before.run_id
    return run_id


async def test_a_request_made_again_is_the_same_run(given: Given) -> None:
    """While it runs and after it has ended; no second run is recorded."""
    assert await given.store.requests.run_of(REQUEST) is None
    assert await begun(given.store, "r1") == "r1"
    assert await begun(given.store, "r2") == "r1"
    assert await given.store.requests.run_of(REQUEST) == "r1"
    await given.finished("r1")
    assert await begun(given.store, "r3") == "r1"
    assert await given.store.requests.run_of(REQUEST) == "r1"
    assert [run["run_id"] for run in await given.sql("SELECT run_id FROM runs")] == ["r1"]


async def test_of_many_at_once_one_begins(given: Given) -> None:
    """However many requests with one key come at the same moment, there is one run."""
    answers = await asyncio.gather(*(begun(given.store, f"r{number}") for number in range(8)))
    assert len(set(answers)) == 1
    assert len(await given.sql("SELECT run_id FROM runs")) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, source=SourceUri.parse("file:///february.parquet")),
        replace(REQUEST, period="2026-02-01"),
        replace(REQUEST, dry_run=True),
        replace(REQUEST, plan_digest="0" * 64),
    ],
)
async def test_the_key_of_another_request_is_refused(given: Given, other: RunRequest) -> None:
    """Everything that is asked for counts; neither the run nor the key changes."""
    await begun(given.store, "r1")
    for finished in (False, True):
        if finished:
            await given.finished("r1")
        with pytest.raises(IdempotencyKeyReusedError):
            await given.store.requests.run_of(other)
        with pytest.raises(IdempotencyKeyReusedError):
            await begun(given.store, "r2", other)
    assert await given.store.requests.run_of(REQUEST) == "r1"


async def test_a_run_that_was_taken_over_answers_for_its_key(given: Given) -> None:
    """The key names whichever run of the same request went on with the alerts, over any number of deaths."""
    requests = given.store.requests
    for number in (1, 2, 3):
        run_id = f"r{number}"
        request = REQUEST if number == 1 else replace(REQUEST, idempotency_key=None)
        assert await begun(given.store, run_id, request) == run_id
        lease = await given.store.runs.acquire_lease(run_id, scope_of(MONTH), now=NOW)
        assert isinstance(lease, Lease)
        assert await requests.run_of(REQUEST) == run_id
        await given.recorded(lease, routed("a"))
        await given.expired(run_id)
    assert (await requests.end_of("r1")) == (await requests.end_of("r2")) != (await requests.end_of("r3"))


@pytest.mark.parametrize(
    ("plan_digest", "taker"),
    [
        (None, replace(REQUEST, source=SourceUri.parse("file:///other.parquet"), idempotency_key=None)),
        ("0" * 64, replace(REQUEST, idempotency_key=None)),
    ],
)
async def test_another_request_does_not_answer_for_a_key(
    given: Given, plan_digest: str | None, taker: RunRequest
) -> None:
    """A run over another source, or of another plan than the one demanded, is not what was asked for."""
    asked = replace(REQUEST, plan_digest=plan_digest)
    for run_id, request in (("r1", asked), ("r2", taker)):
        await begun(given.store, run_id, request)
        lease = await given.store.runs.acquire_lease(run_id, scope_of(MONTH), now=NOW)
        assert isinstance(lease, Lease)
        await given.recorded(lease, routed("a"))
        await given.expired(run_id)
    assert await given.store.requests.run_of(asked) == "r1"


async def test_keys_are_told_apart_exactly_and_no_key_is_none(given: Given) -> None:
    """Case and spaces count; requests without a key are runs of their own."""
    for number, key in enumerate(["a", "A", "a ", "~" * 255, None, None]):
        run_id = f"r{number}"
        assert await begun(given.store, run_id, replace(REQUEST, idempotency_key=key)) == run_id
    assert await given.store.requests.run_of(replace(REQUEST, idempotency_key=None)) is None


@pytest.mark.parametrize("code", ["source_not_found", "schema_mismatch", "source_changed", "plan_changed"])
async def test_a_run_that_failed_for_the_request_s_fault_stays_its_answer(given: Given, code: str) -> None:
    """Asking again would not help: the answer is the same."""
    await begun(given.store, "r1")
    await given.finished("r1", error=RunError(code=code, detail="why"))
    assert await begun(given.store, "r2") == "r1"
    assert await given.store.requests.end_of("r1") == RunEnd(error=RunError(code=code, detail="why"))


@pytest.mark.parametrize(
    "code", ["storage_unreachable", "interrupted", "internal_error", "database_unusable"]
)
async def test_a_run_that_failed_for_our_fault_leaves_its_key_free(given: Given, code: str) -> None:
    """Before anything was recorded: the next request under it is another run, whatever it asks for."""
    await begun(given.store, "r1")
    await given.finished("r1", error=RunError(code=code, detail="why"))
    assert await given.store.requests.run_of(REQUEST) is None
    other = replace(REQUEST, dry_run=True)
    assert await begun(given.store, "r2", other) == "r2"
    assert await given.store.requests.run_of(other) == "r2"


async def test_what_was_recorded_keeps_its_key(given: Given) -> None:
    """Alerts of an interrupted run may have gone out: its key never begins another."""
    await begun(given.store, "r1")
    await given.finished("r1", error=RunError(code="interrupted", detail="why"))
    await given.sql("UPDATE runs SET recorded_at = started_at WHERE run_id = 'r1'")
    assert await begun(given.store, "r2") == "r1"


async def test_a_process_that_died_leaves_its_key_free(given: Given) -> None:
    """The key was bound together with the run: once that is closed as interrupted, another can begin."""
    await begun(given.store, "r1")
    await given.expired("r1")
    assert await begun(given.store, "r2") == "r1"
    await given.store.rescue.close_dead(now=NOW)
    assert await begun(given.store, "r3") == "r3"


async def test_a_key_is_kept_for_a_day(given: Given) -> None:
    """By the database's clock; when a new one comes the old ones are gone."""
    await begun(given.store, "r1")
    await _aged(given, DAY_S - 60)
    assert await begun(given.store, "r2") == "r1"
    await _aged(given, 61)
    assert await given.store.requests.run_of(REQUEST) is None
    await begun(given.store, "r3", replace(REQUEST, idempotency_key="another"))
    assert [row["run_id"] for row in await given.sql("SELECT run_id FROM idempotency_keys")] == ["r3"]
    assert await begun(given.store, "r4") == "r4"


async def test_a_run_that_cannot_begin_binds_no_key(given: Given) -> None:
    """Either both are written or neither is."""
    await given.a_run("r1")
    with pytest.raises(Exception, match="database"):
        await begun(given.store, "r1")
    assert await given.store.requests.run_of(REQUEST) is None
    assert await begun(given.store, "r2") == "r2"


async def test_the_end_of_a_run_is_reported_once_there_is_one(given: Given) -> None:
    """None while it runs; then why it failed, if it did."""
    with pytest.raises(RunNotFoundError):
        await given.store.requests.end_of("r1")
    await given.a_run("r1")
    assert await given.store.requests.end_of("r1") is None
    await given.finished("r1")
    assert await given.store.requests.end_of("r1") == RunEnd(error=None)


async def _aged(given: Given, seconds: float) -> None:
    await given.sql("UPDATE idempotency_keys SET created_at = created_at - :seconds", seconds=seconds)
