"""Resuming: what a run has spent is written down, and whoever resumes it goes on from there."""

from datetime import timedelta

from service.domain.delivery_status import DeliveryStatus, Reason
from service.store.outbox.send import Claimed, OutboxEntry
from service.store.runs.state import Lease
from tests.support.given import LEASE_S, NOW, Given, routed, the_answer

LATER = NOW + timedelta(seconds=4)


async def _retried(given: Given) -> Lease:
    """Let account `a` have spent two retries and three rate limits, and wait for its next try."""
    lease, (entry,) = await given.a_recorded("r1", routed("a"))
    await given.claimed(lease, [entry])
    spent = the_answer(
        entry,
        DeliveryStatus.PENDING,
        reason=Reason.SERVER_ERROR,
        http_status=503,
        retries=2,
        rate_limits=3,
        not_before=LATER,
    )
    await given.settled(lease, spent)
    return lease


async def _resumed(given: Given, run_id: str = "r1") -> Lease:
    await given.expired(run_id)
    resumed = await given.store.rescue.resume(run_id, since=NOW, now=NOW, lease_s=LEASE_S)
    assert resumed is not None
    return resumed.lease


async def _claim(given: Given, lease: Lease, entries: list[OutboxEntry], *, left_s: float) -> Claimed:
    claimed = await given.store.outbox.settle_and_claim(
        lease, [], entries, now=NOW, lease_s=LEASE_S, left_s=left_s
    )
    assert not claimed.is_overtaken
    return claimed


async def test_what_an_alert_has_spent_is_handed_to_who_resumes_its_run(given: Given) -> None:
    """Retries, rate limits and the moment of the next try come back with the alert."""
    await _retried(given)
    (entry,) = await given.pending(await _resumed(given))
    assert (entry.retries, entry.rate_limits, entry.not_before, entry.claims) == (2, 3, LATER, 1)


async def test_a_new_run_begins_with_nothing_spent(given: Given) -> None:
    """What an alert has spent in one run is not held against it in the next."""
    await _retried(given)
    await given.expired("r1")
    _, (entry,) = await given.a_recorded("r2", routed("a"))
    assert (entry.retries, entry.rate_limits, entry.not_before, entry.claims) == (0, 0, None, 1)


async def test_the_time_left_is_that_of_the_run_and_not_of_the_process(given: Given) -> None:
    """Who resumes a run has as long as its last claim left it, however much he would give a new one."""
    lease, (a, b, c, d) = await given.a_recorded("r1", routed("a", "b", "c", "d"))
    assert (await _claim(given, lease, [a], left_s=600)).left_s == 600
    assert (await _claim(given, lease, [b], left_s=123.5)).left_s == 123.5
    lease = await _resumed(given)
    assert (await _claim(given, lease, [c], left_s=600)).left_s == 123.5
    await given.store.runs.release(lease, now=NOW)
    resumed = await given.store.rescue.resume("r1", since=NOW, now=NOW, lease_s=LEASE_S)
    assert resumed is not None
    assert (await _claim(given, resumed.lease, [d], left_s=60)).left_s == 60


async def test_a_deadline_may_be_none(given: Given) -> None:
    """A run without a deadline has endless time left, resumed or not."""
    lease, (a, b) = await given.a_recorded("r1", routed("a", "b"))
    await _claim(given, lease, [a], left_s=float("inf"))
    assert (await _claim(given, await _resumed(given), [b], left_s=float("inf"))).left_s == float("inf")
