"""Reconciling: what the reconciler may look for, and what it says of it, on either database."""

import asyncio
from datetime import timedelta

from service.domain.delivery_status import RECONCILER, DeliveryStatus, Reason, SettleAs
from service.store.outbox.reconciling import Doubt
from tests.support.alerts import an_alert
from tests.support.given import LEASE_S, NOW, Given, routed, the_answer

LATER = NOW + timedelta(minutes=2)
PLACE = ("C0AMER", "1700000000.000100")
A = an_alert("a").alert_id


async def _in_doubt(given: Given, *names: str, run_id: str = "r1") -> None:
    """Let a run that is still at work have doubts about accounts."""
    lease, entries = await given.a_recorded(run_id, routed(*names))
    await given.claimed(lease, entries)
    answers = [the_answer(entry, DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST) for entry in entries]
    await given.settled(lease, *answers)


async def _doubts(given: Given, run_id: str | None = "r1") -> list[Doubt]:
    return await given.store.reconciling.in_doubt(run_id)


async def test_a_runs_doubts_are_its_own_until_it_has_ended(given: Given) -> None:
    """Then they are everybody's; those of too long ago are left out."""
    await _in_doubt(given, "a", "b")
    doubts = await _doubts(given)
    assert {(each.alert_id, each.channel, each.claim, each.settled_claim) for each in doubts} == {
        (an_alert(name).alert_id, "amer", 1, 0) for name in ("a", "b")
    }
    assert {each.claimed_at for each in doubts} == {NOW}
    assert await _doubts(given, None) == []
    await given.finished("r1", alerts=2)
    assert await _doubts(given, None) == doubts
    assert await given.store.reconciling.in_doubt(None, since=NOW + timedelta(seconds=1)) == []


async def test_what_is_found_is_sent_and_says_where_it_stands(given: Given) -> None:
    """It is settled once, whoever tries again, and by name."""
    await _in_doubt(given, "a")
    (doubt,) = await _doubts(given)
    decide = given.store.reconciling.decide
    both = await asyncio.gather(
        *(decide(doubt, SettleAs.SENT, note="found", place=PLACE, now=LATER) for _ in range(2))
    )
    (record,) = [each for each in both if each is not None]
    assert (record.status, record.sent_at, record.reason) == ("sent", NOW, None)
    assert [(each.by, each.note, each.claim) for each in record.settled] == [(RECONCILER, "found", 1)]
    row = await given.row_of("a")
    assert (row["slack_channel"], row["slack_ts"]) == PLACE
    await given.finished("r1", alerts=1)
    assert (await given.store.history.get_run("r1")).counts.alerts_sent == 1


async def test_what_never_arrived_is_the_same_runs_to_send(given: Given) -> None:
    """Other than where a person says so, who has it wait for newer data; also when the run is resumed."""
    lease, entries = await given.a_recorded("r1", routed("a"))
    await given.claimed(lease, entries)
    await given.expired("r1")
    resumed = await given.store.rescue.resume("r1", since=NOW, now=NOW, lease_s=LEASE_S)
    assert resumed is not None
    assert (resumed.in_doubt, resumed.to_send) == (1, 0)
    (doubt,) = await _doubts(given)
    assert await given.store.reconciling.decide(doubt, SettleAs.RESEND, note="absent", now=LATER) is not None
    (entry,) = await given.pending(resumed.lease)
    assert (entry.alert_id, entry.claims) == (A, 1)
    await given.all_sent(resumed.lease)
    assert await given.status_of("a") == "sent"


async def test_what_is_held_keeps_its_evidence_and_is_not_looked_for_again(given: Given) -> None:
    """Until it is claimed anew; what could not be read yet is."""
    await _in_doubt(given, "a")
    (doubt,) = await _doubts(given)
    note = given.store.reconciling.note
    assert await note(doubt, "missing_scope", is_final=False, now=LATER)
    assert await _doubts(given) == [doubt]
    assert await note(doubt, "not there", is_final=True, now=LATER)
    assert await _doubts(given) == []
    await given.finished("r1", alerts=1)
    assert (await given.store.history.get_alert(A)).error_message == "not there"
    await given.store.doubts.settle(A, SettleAs.RESEND, by="ann", note=None, now=LATER)
    await _in_doubt(given, "a", run_id="r2")
    (again,) = await _doubts(given, "r2")
    assert (again.claim, again.settled_claim) == (2, 1)
    assert not await note(doubt, "of the claim before", is_final=True, now=LATER)
