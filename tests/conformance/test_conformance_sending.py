"""Sending: claims, answers, late answers, and lanes that end."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.delivery_status import TRANSITIONS, DeliveryStatus, Reason, Step
from service.store.outbox.send import OutboxEntry
from service.store.runs.state import Lease
from tests.support.given import LEASE_S, NOW, Given, routed, the_answer


async def _one_claimed(given: Given) -> tuple[Lease, OutboxEntry]:
    """Bring account `a` on its way by run `r1`."""
    lease, (entry,) = await given.a_recorded("r1", routed("a"))
    assert await given.claimed(lease, [entry]) == {entry.alert_id}
    return lease, entry


async def test_a_claim_is_written_down_before_anything_is_posted(given: Given) -> None:
    """A claimed alert is `sending`, counts its claim, and is handed out to nobody else."""
    lease, _ = await _one_claimed(given)
    row = await given.row_of("a")
    assert (row["status"], row["claims"], row["claimed_at"] is not None) == ("sending", 1, True)
    assert await given.pending(lease) == []


async def test_an_alert_is_claimed_once(given: Given) -> None:
    """A second claim of the same alert is not granted, and the others of its batch are."""
    lease, entry = await _one_claimed(given)
    assert await given.claimed(lease, [entry]) == set()
    await given.sql("UPDATE outbox SET status = 'pending'")
    assert await given.claimed(lease, [entry]) == set(), "its view of the row is out of date"


async def test_what_was_given_up_is_not_claimed(given: Given) -> None:
    """An alert that failed with its lane is not sent by a claim that was on its way to the database."""
    lease, entries = await given.a_recorded("r1", routed("a"))
    await given.ended_lane(lease, DeliveryStatus.FAILED, Reason.DEADLINE)
    assert await given.claimed(lease, entries) == set()
    assert await given.status_of("a") == "failed"


async def test_of_two_claims_at_once_one_is_granted(given: Given) -> None:
    """However many claims race for the alerts of a batch, each alert is granted to one of them."""
    lease, entries = await given.a_recorded("r1", routed(*(f"a{number}" for number in range(10))))
    answers = await asyncio.gather(*(given.claimed(lease, entries) for _ in range(5)))
    granted = [alert_id for answer in answers for alert_id in (answer or ())]
    assert sorted(granted) == sorted(entry.alert_id for entry in entries)


async def test_a_claim_renews_the_lease(given: Given) -> None:
    """A run that claims is alive."""
    lease, _ = await given.a_recorded("r1", routed("a"))
    await given.expired("r1")
    await given.claimed(lease, await given.pending(lease))
    assert await given.store.rescue.close_dead(now=NOW) == []


async def test_only_the_holder_claims(given: Given) -> None:
    """A run of an older epoch gets nothing, and what it settles in the same breath is still written."""
    lease, entry = await _one_claimed(given)
    await given.expired("r1")
    await given.a_lease("r2")
    answer = the_answer(entry)
    claimed = await given.store.outbox.settle_and_claim(lease, [answer], [entry], now=NOW, lease_s=LEASE_S)
    assert (claimed.is_overtaken, claimed.alert_ids, claimed.settled) == (True, set(), {entry.alert_id})
    assert await given.status_of("a") == "sent"


async def test_a_sent_alert_says_when_and_how(given: Given) -> None:
    """The answer is stored with the alert and, with its attempt, in the run's report."""
    lease, entry = await _one_claimed(given)
    await given.settled(lease, the_answer(entry))
    row = await given.row_of("a")
    assert (row["status"], row["http_status"], row["error"], row["sent_at"] is not None) == (
        "sent",
        200,
        None,
        True,
    )
    await given.finished("r1", alerts=1)
    outcome = (await given.outcomes("r1"))["a"]
    assert (outcome.outcome, outcome.http_status, outcome.attempts) == ("sent", 200, 1)


async def test_a_failed_alert_says_why(given: Given) -> None:
    """Reason, text and HTTP status of a failure are in the report while the run runs and afterwards."""
    lease, entry = await _one_claimed(given)
    await given.settled(lease, the_answer(entry, DeliveryStatus.FAILED, reason=Reason.GONE, http_status=410))
    live = (await given.outcomes("r1"))["a"]
    assert (live.outcome, live.reason, live.error_message) == ("failed", Reason.GONE, "because of gone")
    assert (live.http_status, live.attempts) == (410, 1)
    await given.finished("r1", alerts=1)
    assert (await given.outcomes("r1"))["a"] == live
    assert (await given.store.history.get_run("r1")).sample_errors == (live,)


async def test_a_retry_goes_back_to_pending_and_every_post_is_counted(given: Given) -> None:
    """A retried alert can be claimed again from when it may, and each POST is an attempt of its own."""
    lease, entry = await _one_claimed(given)
    later = NOW + timedelta(seconds=4)
    await given.settled(
        lease,
        the_answer(
            entry, DeliveryStatus.PENDING, reason=Reason.RATE_LIMITED, http_status=429, not_before=later
        ),
    )
    (again,) = await given.pending(lease)
    assert again.claims == 1
    assert (await given.row_of("a"))["not_before"] is not None
    settle = the_answer(again)
    await given.claimed(lease, [again])
    await given.settled(lease, settle)
    posts = await given.sql("SELECT claim, http_status, status FROM attempts ORDER BY claim")
    assert [tuple(post.values()) for post in posts] == [(1, 429, "pending"), (2, 200, "sent")]
    assert (await given.row_of("a"))["not_before"] is None
    assert (await given.outcomes("r1"))["a"].attempts == 2


async def test_a_claim_that_was_not_posted_is_no_attempt(given: Given) -> None:
    """A sender that came too late gives its alert back, and no POST is counted."""
    lease, entry = await _one_claimed(given)
    await given.settled(lease, the_answer(entry, DeliveryStatus.PENDING, posted=False))
    assert await given.sql("SELECT claim FROM attempts") == []
    assert [again.claims for again in await given.pending(lease)] == [1]


async def test_a_retry_may_be_settled_and_claimed_in_one_go(given: Given) -> None:
    """One transaction may give an alert back and claim it for its next try."""
    lease, entry = await _one_claimed(given)
    back = the_answer(entry, DeliveryStatus.PENDING, posted=False)
    again = replace(entry, claims=entry.claims + 1)
    claimed = await given.store.outbox.settle_and_claim(lease, [back], [again], now=NOW, lease_s=LEASE_S)
    assert claimed.alert_ids == {entry.alert_id}
    assert (await given.row_of("a"))["claims"] == 2


async def test_a_late_ok_turns_doubt_into_certainty(given: Given) -> None:
    """An `ok` that comes after its run was given up completes the alert and its attempt, not the report."""
    lease, entry = await _one_claimed(given)
    await given.expired("r1")
    await given.store.rescue.close_dead(now=NOW)
    report = await given.outcomes("r1")
    assert await given.status_of("a") == "unknown"
    await given.settled(lease, the_answer(entry))
    assert await given.status_of("a") == "sent"
    (post,) = await given.sql("SELECT status, error, http_status FROM attempts")
    assert tuple(post.values()) == ("sent", None, 200)
    assert await given.outcomes("r1") == report


@pytest.mark.parametrize("status", [DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN, DeliveryStatus.PENDING])
async def test_a_late_failure_changes_nothing(given: Given, status: DeliveryStatus) -> None:
    """Any other answer that comes late leaves the alert in doubt and its attempt lost."""
    lease, entry = await _one_claimed(given)
    await given.expired("r1")
    await given.store.rescue.close_dead(now=NOW)
    row = await given.row_of("a")
    posts = await given.sql("SELECT * FROM attempts")
    late = the_answer(entry, status, reason=Reason.SERVER_ERROR, http_status=503)
    settled = await given.settled(lease, late)
    assert settled == ({entry.alert_id} if status is DeliveryStatus.UNKNOWN else set())
    assert await given.row_of("a") == row
    assert await given.sql("SELECT * FROM attempts") == posts


async def test_an_answer_that_is_written_twice_is_in_the_ledger(given: Given) -> None:
    """Whoever did not hear the end of the first transaction hears from the second that it is there."""
    lease, entry = await _one_claimed(given)
    answer = the_answer(entry)
    for _ in range(2):
        assert await given.settled(lease, answer) == {entry.alert_id}


async def test_a_late_ok_spares_the_alert_its_second_post(given: Given) -> None:
    """Under `resend` an `ok` that comes before the second claim settles the alert: no knowing duplicate."""
    lease, entry = await _one_claimed(given)
    await given.expired("r1")
    second, (again,) = await given.a_recorded("r2", routed("a"), resend=True)
    await given.settled(lease, the_answer(entry))
    assert await given.status_of("a") == "sent"
    assert await given.claimed(second, [again]) == set()


async def test_an_answer_belongs_to_its_own_claim(given: Given) -> None:
    """Once the alert was claimed again, the late answer of the claim before is that of another POST."""
    lease, entry = await _one_claimed(given)
    await given.expired("r1")
    second, _ = await given.a_recorded("r2", routed("a"), resend=True)
    await given.claimed(second, await given.pending(second))
    await given.settled(lease, the_answer(entry))
    assert await given.status_of("a") == "sending"


@pytest.mark.parametrize("status", [way.end for way in TRANSITIONS if way.step is Step.SETTLE])
async def test_sent_has_no_exit(given: Given, status: DeliveryStatus) -> None:
    """Nothing that is said of a sent alert afterwards changes its row."""
    lease, entry = await _one_claimed(given)
    await given.settled(lease, the_answer(entry))
    row = await given.row_of("a")
    await given.settled(lease, the_answer(entry, status, reason=Reason.SERVER_ERROR, http_status=500))
    await given.ended_lane(lease, DeliveryStatus.FAILED, Reason.DEADLINE, "late")
    assert await given.row_of("a") == row


async def test_an_answer_that_cannot_be_is_refused(given: Given) -> None:
    """No answer withdraws an alert: the verb refuses to write that down, and nothing has changed."""
    lease, entry = await _one_claimed(given)
    with pytest.raises(ValueError, match="settle must not"):
        await given.settled(lease, the_answer(entry, DeliveryStatus.WITHDRAWN))
    assert await given.status_of("a") == "sending"


async def test_a_lane_that_is_given_up_fails_what_it_did_not_come_to(given: Given) -> None:
    """The rest of a lane fails with 0 attempts, in the order of sending, and other lanes do not notice."""
    lease, _ = await given.a_recorded("r1", routed("a", "b", "c") + routed("d", channel="emea"))
    first = (await given.pending(lease))[0]
    await given.claimed(lease, [first])
    left = await given.ended_lane(lease, DeliveryStatus.FAILED, Reason.SLACK_UNREACHABLE, "it refused")
    assert [(alert.subject, alert.channel) for alert in left] == [("b", "amer"), ("c", "amer")]
    outcomes = await given.outcomes("r1")
    assert (outcomes["b"].outcome, outcomes["b"].reason) == ("failed", Reason.SLACK_UNREACHABLE)
    assert outcomes["b"].attempts == 0
    assert (await given.status_of("a"), await given.status_of("d")) == ("sending", "pending")


async def test_a_lane_that_ran_out_of_time_leaves_its_rest_pending(given: Given) -> None:
    """What only lacked time is `unsent` in this run, with the reason, and goes out with the next."""
    lease, _ = await given.a_recorded("r1", routed("a"))
    await given.ended_lane(lease, DeliveryStatus.PENDING, Reason.DEADLINE, "no time")
    await given.finished("r1", alerts=1)
    outcome = (await given.outcomes("r1"))["a"]
    assert (outcome.outcome, outcome.reason) == ("unsent", Reason.DEADLINE)
    await given.recorded(await given.a_lease("r2"), routed("a"))
    assert (await given.row_of("a"))["error"] is None


async def test_the_undelivered_are_counted_over_all_months(given: Given) -> None:
    """What is pending, failed or in doubt is counted; what is sent, withdrawn or on its way is not."""
    lease, entries = await given.a_recorded("r1", routed("a", "b", "c", "d", "e") + routed("f", channel=None))
    await given.claimed(lease, entries[:4])
    await given.settled(
        lease,
        the_answer(entries[0]),
        the_answer(entries[1], DeliveryStatus.FAILED, reason=Reason.GONE),
        the_answer(entries[2], DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST),
    )
    await given.sql("UPDATE outbox SET status = 'withdrawn' WHERE subject = 'e'")
    assert await given.store.outbox.undelivered() == {"failed": 2, "unknown": 1}
    await given.sql("UPDATE outbox SET status = 'pending' WHERE subject = 'e'")
    assert await given.store.outbox.undelivered() == {"failed": 2, "unknown": 1, "pending": 1}
