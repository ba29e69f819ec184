"""Runs, their leases, and their end."""

import asyncio

import pytest

from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.errors import (
    LedgerImbalanceError,
    OvertakenError,
    RunNotFoundError,
)
from service.domain.month import Month
from service.domain.run import RunError, RunStatus
from service.store.runs.rescue import LONGEST_IN_LEASES, RescuedRun
from service.store.runs.state import Lease
from service.store.store import Store
from tests.support.alerts import MONTH
from tests.support.given import LEASE_S, NOW, Given, an_evaluation, routed, scope_of, the_answer


async def test_a_run_that_has_begun_is_running(given: Given) -> None:
    """A fresh run is found again with what was asked for."""
    run = await given.store.history.get_run(await given.a_run("r1"))
    assert (run.run_id, run.source_uri, run.period) == ("r1", "file:///january.parquet", str(MONTH))
    assert (run.status, run.dry_run, run.finished_at, run.ledger) == (RunStatus.RUNNING, False, None, None)
    assert run.started_at.utcoffset() is not None
    assert (run.started_at - NOW).total_seconds() == 1


@pytest.mark.parametrize("run_id", ["nobody", "", "r\0", "%00", "r" * 5000])
async def test_an_unknown_run_is_not_found(store: Store, run_id: str) -> None:
    """Whatever is asked for, an unknown run is an answer and not a failure of the database."""
    with pytest.raises(RunNotFoundError):
        await store.history.get_run(run_id)
    with pytest.raises(RunNotFoundError):
        await store.history.list_alerts(run_id, limit=1)
    with pytest.raises(RunNotFoundError):
        await store.history.list_withdrawn(run_id, limit=1)


async def test_progress_is_seen_while_the_run_runs(given: Given) -> None:
    """The last heartbeat's progress is shown until the run has finished."""
    await given.a_run("r1")
    await given.store.runs.keep_alive("r1", lease_s=LEASE_S, progress={"phase": "scanning", "rows_done": 7})
    assert (await given.store.history.get_run("r1")).progress == {"phase": "scanning", "rows_done": 7}
    await given.finished("r1")
    assert (await given.store.history.get_run("r1")).progress is None


async def test_one_run_holds_a_month(given: Given) -> None:
    """The second run of a month is told who holds it; another month is free."""
    await given.a_lease("r1")
    await given.a_run("r2")
    assert await given.store.runs.acquire_lease("r2", scope_of(MONTH), now=NOW) == "r1"
    other = await given.store.runs.acquire_lease("r2", scope_of(Month.parse("2026-02-01")), now=NOW)
    assert isinstance(other, Lease)


async def test_the_month_is_free_when_its_run_has_finished(given: Given) -> None:
    """A finished run lets go of its month, and the next holder has the next epoch."""
    first = await given.a_lease("r1")
    await given.finished("r1")
    second = await given.a_lease("r2")
    assert (first.epoch, second.epoch) == (1, 2)


async def test_the_holder_may_ask_again(given: Given) -> None:
    """A run that asks twice gets the same lease and does not wait for itself."""
    lease = await given.a_lease("r1")
    assert await given.store.runs.acquire_lease("r1", scope_of(MONTH), now=NOW) == lease


async def test_of_many_runs_that_ask_at_once_one_gets_the_month(given: Given) -> None:
    """However many runs ask at the same moment, one holds the month and all others are told its name."""
    runs = [await given.a_run(f"r{number}") for number in range(8)]
    answers = await asyncio.gather(
        *(given.store.runs.acquire_lease(run, scope_of(MONTH), now=NOW) for run in runs)
    )
    (lease,) = (answer for answer in answers if isinstance(answer, Lease))
    assert {answer for answer in answers if isinstance(answer, str)} == {lease.run_id}


async def test_a_dead_holder_is_taken_over(given: Given) -> None:
    """When the holder's lease has expired the waiter closes it as interrupted and takes the month."""
    await given.a_lease("r1")
    await given.expired("r1")
    assert (await given.a_lease("r2")).epoch == 2
    dead = await given.store.history.get_run("r1")
    assert (dead.status, dead.error and dead.error.code) == (RunStatus.FAILED, "interrupted")
    assert dead.finished_at == NOW


async def test_a_heartbeat_keeps_the_lease(given: Given) -> None:
    """A run that was late but alive before anyone looked goes on holding its month."""
    await given.a_lease("r1")
    await given.expired("r1")
    await given.store.runs.keep_alive("r1", lease_s=LEASE_S, progress={})
    await given.a_run("r2")
    assert await given.store.runs.acquire_lease("r2", scope_of(MONTH), now=NOW) == "r1"


async def test_who_asks_for_a_month_is_alive(given: Given) -> None:
    """A run whose own lease ran out while it waited is not closed by its own question."""
    await given.a_run("r1")
    await given.expired("r1")
    assert isinstance(await given.store.runs.acquire_lease("r1", scope_of(MONTH), now=NOW), Lease)


async def test_the_rescue_closes_what_is_dead_and_nothing_else(given: Given) -> None:
    """Runs whose lease has expired are closed, with what was on its way counted as in doubt."""
    lease, (first, _) = await given.a_recorded("r1", routed("a", "b"))
    await given.claimed(lease, [first])
    await given.a_run("r2")
    await given.expired("r1")
    assert await given.store.rescue.close_dead(now=NOW) == [RescuedRun(run_id="r1", in_doubt=1)]
    assert await given.store.rescue.close_dead(now=NOW) == []
    assert (await given.store.history.get_run("r2")).status is RunStatus.RUNNING


async def _set_back(given: Given, seconds: float) -> None:
    """Put the database's clock back: all that is written down is so much further ahead."""
    await given.sql("UPDATE runs SET expires_at = expires_at + :s", s=seconds)


async def test_a_clock_put_back_lets_no_dead_run_live_on(given: Given) -> None:
    """A lease that ends further ahead than any can is cut to what one can, and runs out from there."""
    await given.a_run("r1")
    await _set_back(given, 3600)
    await given.store.rescue.shorten_leases(lease_s=0.05)
    async with asyncio.timeout(20):
        while not (closed := await given.store.rescue.close_dead(now=NOW)):  # noqa: ASYNC110  # it is the database's clock
            await asyncio.sleep(0.05)
    assert closed == [RescuedRun(run_id="r1", in_doubt=0)]


async def test_a_clock_put_back_ends_no_run_that_lives(given: Given) -> None:
    """A lease is shortened and not ended, and one that is as long as it can be stays as it is."""
    await given.a_run("r1")
    await given.store.rescue.shorten_leases(lease_s=LEASE_S / LONGEST_IN_LEASES)
    (before,) = await given.sql("SELECT expires_at FROM runs")
    await _set_back(given, 3600)
    await given.store.rescue.shorten_leases(lease_s=LEASE_S / LONGEST_IN_LEASES)
    assert await given.store.rescue.close_dead(now=NOW) == []
    (after,) = await given.sql("SELECT expires_at FROM runs")
    assert before["expires_at"] <= after["expires_at"] <= before["expires_at"] + 600
    await given.store.runs.keep_alive("r1", lease_s=LEASE_S, progress={})


async def test_what_was_on_its_way_when_a_run_died_is_in_doubt(given: Given) -> None:
    """A rescued run's sends are `unknown`, the rest `unsent`, and each lost POST is on record."""
    lease, entries = await given.a_recorded("r1", routed("a", "b"))
    await given.claimed(lease, entries[:1])
    await given.expired("r1")
    await given.store.rescue.close_dead(now=NOW)
    outcomes = await given.outcomes("r1")
    assert (outcomes["a"].outcome, outcomes["a"].reason) == ("unknown", Reason.INTERRUPTED)
    assert (outcomes["b"].outcome, outcomes["b"].reason) == ("unsent", None)
    assert (outcomes["a"].attempts, outcomes["b"].attempts) == (1, 0)
    counts = (await given.store.history.get_run("r1")).counts
    assert (counts.alerts, counts.unknown, counts.unsent) == (2, 1, 1)


async def test_an_overtaken_run_can_change_nothing(given: Given) -> None:
    """Once a run was closed by another process every verb of it is refused and its report stays."""
    lease, entries = await given.a_recorded("r1", routed("a"))
    await given.expired("r1")
    await given.store.rescue.close_dead(now=NOW)
    report = await given.store.history.get_run("r1")
    store = given.store
    for verb in (
        store.runs.keep_alive("r1", lease_s=LEASE_S, progress={}),
        store.runs.acquire_lease("r1", scope_of(MONTH), now=NOW),
        store.runs.note_evaluation("r1", an_evaluation(9)),
        given.recorded(lease, routed("b")),
        given.ended_lane(lease, DeliveryStatus.FAILED, Reason.SLACK_UNREACHABLE),
        given.finished("r1", alerts=1),
    ):
        with pytest.raises(OvertakenError):
            await verb
    assert await given.claimed(lease, entries) is None
    assert await store.history.get_run("r1") == report
    assert await given.status_of("a") == "pending"


async def test_an_overtaken_dry_run_adds_nothing_to_its_report(given: Given) -> None:
    """A dry run that was taken for dead cannot store its answer afterwards."""
    await given.a_run("r1", dry_run=True)
    await given.expired("r1")
    await given.store.rescue.close_dead(now=NOW)
    with pytest.raises(OvertakenError):
        await given.rehearsed("r1", routed("a"))
    assert await given.outcomes("r1") == {}


async def test_a_run_finishes_once(given: Given) -> None:
    """The second finish is refused and the first one's report stays."""
    lease, _ = await given.a_recorded("r1", routed("a"))
    await given.all_sent(lease)
    await given.finished("r1", alerts=1)
    report = await given.store.history.get_run("r1")
    with pytest.raises(OvertakenError):
        await given.finished("r1", error=RunError(code="late", detail="late"))
    assert await given.store.history.get_run("r1") == report
    assert report.status is RunStatus.SUCCEEDED
    assert report.ledger is not None
    report.ledger.check()


async def test_a_run_that_does_not_add_up_is_not_finished(given: Given) -> None:
    """An imbalance is raised and nothing is written, so that the run can still be closed as failed."""
    lease, entries = await given.a_recorded("r1", routed("a"))
    await given.claimed(lease, entries)
    with pytest.raises(LedgerImbalanceError):
        await given.finished("r1", alerts=2)
    assert await given.status_of("a") == "sending"
    assert (await given.store.history.get_run("r1")).status is RunStatus.RUNNING
    await given.finished("r1", error=RunError(code="ledger_imbalance", detail="1 is not 2"))
    failed = await given.store.history.get_run("r1")
    assert (failed.status, failed.error) == (
        RunStatus.FAILED,
        RunError(code="ledger_imbalance", detail="1 is not 2"),
    )


async def test_what_a_finished_run_reported_never_changes(given: Given) -> None:
    """A later run that sends what the first could not leaves the first one's report alone."""
    first, (a, b, _) = await given.a_recorded("r1", routed("a", "b", "c"))
    await given.claimed(first, [a, b])
    await given.settled(
        first,
        the_answer(a, DeliveryStatus.FAILED, reason=Reason.NOT_FOUND, http_status=404),
        the_answer(b, DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST, http_status=None),
    )
    await given.finished("r1", alerts=3)
    report, outcomes = await given.store.history.get_run("r1"), await given.outcomes("r1")
    assert [item.outcome for item in outcomes.values()] == ["failed", "unknown", "unsent"]
    second, _ = await given.a_recorded("r2", routed("a", "b", "c"), resend=True)
    await given.all_sent(second)
    await given.finished("r2", alerts=3)
    assert {item.outcome for item in (await given.outcomes("r2")).values()} == {"sent"}
    assert await given.store.history.get_run("r1") == report
    assert await given.outcomes("r1") == outcomes


async def test_a_source_that_failed_leaves_a_failed_run(given: Given) -> None:
    """A run that failed before it evaluated anything has an error, no ledger, and zero counts."""
    await given.a_lease("r1")
    await given.finished("r1", error=RunError(code="source_not_found", detail="there is no file"))
    run = await given.store.history.get_run("r1")
    assert (run.status, run.ledger, run.counts.alerts) == (RunStatus.FAILED, None, 0)
    assert run.error == RunError(code="source_not_found", detail="there is no file")


async def test_recording_does_not_count_as_silence(given: Given) -> None:
    """The time that recording took is added to the lease, as no heartbeat could come in between."""
    lease = await given.a_lease("r1")
    (before,) = await given.sql("SELECT expires_at FROM runs")
    await given.recorded(lease, routed(*(f"a{number}" for number in range(200))))
    (after,) = await given.sql("SELECT expires_at FROM runs")
    assert after["expires_at"] > before["expires_at"]
