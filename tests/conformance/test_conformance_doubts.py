"""Doubts: a person settles whether Slack has an alert, and that is kept."""

import asyncio
from datetime import timedelta

import pytest

from service.account_risk.account_at_risk import AccountAtRisk
from service.domain.alert import AlertRecord
from service.domain.delivery_status import DeliveryStatus, Reason, SettleAs
from service.domain.errors import AlertNotFoundError, NotInDoubtError, RunNotFoundError
from service.domain.run import Action
from service.store.outbox.send import OutboxEntry
from tests.support.alerts import an_alert
from tests.support.given import LEASE_S, NOW, Given, routed, the_answer

LATER = NOW + timedelta(hours=3)
A = an_alert("a").alert_id


async def _in_doubt(given: Given, *names: str, run_id: str = "r1") -> list[OutboxEntry]:
    """Let a run leave accounts behind in doubt."""
    lease, entries = await given.a_recorded(run_id, routed(*names))
    await given.claimed(lease, entries)
    answers = [the_answer(entry, DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST) for entry in entries]
    await given.settled(lease, *answers)
    await given.finished(run_id, alerts=len(names))
    return entries


async def _settle(
    given: Given, settle_as: SettleAs, alert_id: str = A, *, by: str = "ann", note: str | None = None
) -> tuple[AlertRecord, bool]:
    return await given.store.doubts.settle(alert_id, settle_as, by=by, note=note, now=LATER)


async def test_a_person_says_that_slack_has_it(given: Given) -> None:
    """It is sent, since it was posted, and nobody sends it again under any policy."""
    await _in_doubt(given, "a")
    record, changed = await _settle(given, SettleAs.SENT, note="seen in the channel")
    assert changed
    assert (record.status, record.sent_at, record.updated_at) == ("sent", NOW, LATER)
    assert (record.reason, record.error_message) == (None, None)
    lease = await given.a_lease("r2")
    (taken,) = await given.recorded(lease, routed("a"), resend=True)
    assert taken.action is Action.SKIP_REPLAY


async def test_the_run_whose_doubt_it_was_does_not_send_it_again(given: Given) -> None:
    """Also when it is resumed: its route and facts are the old ones, and the next run has the new."""
    lease, (entry, other) = await given.a_recorded("r1", routed("a", "b"))
    await given.claimed(lease, [entry])
    await given.settled(lease, the_answer(entry, DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST))
    await _settle(given, SettleAs.RESEND, entry.alert_id)
    await given.expired("r1")
    resumed = await given.store.rescue.resume("r1", since=NOW, now=NOW, lease_s=LEASE_S)
    assert resumed is not None
    assert resumed.to_send == 1
    assert await given.pending(resumed.lease) == [other]
    await given.all_sent(resumed.lease)
    await given.finished("r1", alerts=2)
    assert (await given.store.history.get_run("r1")).counts.unsent == 1
    again, _ = await given.a_recorded("r2", routed("a", "b"))
    assert [item.alert_id for item in await given.pending(again)] == [entry.alert_id]


async def test_a_person_says_that_it_is_to_be_sent_again(given: Given) -> None:
    """The month's next run sends it, under hold as well, with the new route, message and facts."""
    await _in_doubt(given, "a")
    record, changed = await _settle(given, SettleAs.RESEND)
    assert changed
    assert (record.status, record.sent_at, record.reason) == ("pending", None, None)
    lease = await given.a_lease("r2")
    (taken,) = await given.recorded(lease, routed(an_alert("a", arr=7), channel="emea"))
    assert taken.action is Action.SEND
    (entry,) = await given.pending(lease)
    assert (entry.channel, entry.payload, entry.claims) == ("emea", '{"text":"7"}', 1)
    await given.all_sent(lease)
    assert await given.status_of("a") == "sent"


async def test_what_is_to_be_sent_again_is_withdrawn_like_anything_that_waits(given: Given) -> None:
    """When the data no longer have it, there is nothing to send."""
    await _in_doubt(given, "a")
    await _settle(given, SettleAs.RESEND)
    await given.recorded(await given.a_lease("r2"), [])
    assert await given.status_of("a") == "withdrawn"


async def test_it_is_kept_with_who_when_and_why(given: Given) -> None:
    """For each claim that ended in doubt there is one settlement, and the alert shows them all in order."""
    await _in_doubt(given, "a")
    await _settle(given, SettleAs.RESEND, by="ann", note="not there")
    await _in_doubt(given, "a", run_id="r2")
    await _settle(given, SettleAs.SENT, by="bob\0", note="there\0 now")
    record = await given.store.history.get_alert(A)
    kept = [
        (item.settled_as, item.by, item.at, item.note, item.run_id, item.claim) for item in record.settled
    ]
    assert kept == [
        ("resend", "ann", LATER, "not there", "r1", 1),
        ("sent", "bob\ufffd", LATER, "there\ufffd now", "r2", 2),
    ]
    assert (AccountAtRisk.of(record.alert), record.run_id) == (an_alert("a"), "r2")
    assert record.channel == "amer"


@pytest.mark.parametrize("settle_as", SettleAs)
async def test_to_settle_again_does_no_harm(given: Given, settle_as: SettleAs) -> None:
    """The same word about the same claim is answered with what was decided; the first note stands."""
    await _in_doubt(given, "a")
    first, _ = await _settle(given, settle_as, by="ann", note="first")
    again, changed = await _settle(given, settle_as, by="bob", note="second")
    assert not changed
    assert again == first


@pytest.mark.parametrize(("first", "second"), [tuple(SettleAs), tuple(reversed(SettleAs))])
async def test_to_settle_otherwise_is_refused(given: Given, first: SettleAs, second: SettleAs) -> None:
    """What is settled is not in doubt any more, and the refusal says what it is."""
    await _in_doubt(given, "a")
    record, _ = await _settle(given, first)
    with pytest.raises(NotInDoubtError, match=f"it is {record.status}"):
        await _settle(given, second)
    assert await given.store.history.get_alert(A) == record


async def test_what_settled_an_earlier_claim_does_not_stand_for_a_later_one(given: Given) -> None:
    """Once it was claimed again the old word is no answer."""
    await _in_doubt(given, "a")
    await _settle(given, SettleAs.RESEND)
    lease, _ = await given.a_recorded("r2", routed("a"))
    await given.all_sent(lease)
    with pytest.raises(NotInDoubtError, match="it is sent"):
        await _settle(given, SettleAs.RESEND)


@pytest.mark.parametrize("settle_as", SettleAs)
async def test_only_doubts_can_be_settled(given: Given, settle_as: SettleAs) -> None:
    """Whatever is not `unknown` stays what it is, `sending` above all: its answer is on the way."""
    lease, (failed, sent, sending, _) = await given.a_recorded(
        "r1", routed("failed", "sent", "sending", "pending")
    )
    await given.claimed(lease, [failed, sent, sending])
    await given.settled(
        lease, the_answer(failed, DeliveryStatus.FAILED, reason=Reason.GONE), the_answer(sent)
    )
    for name in ("failed", "sent", "sending", "pending"):
        with pytest.raises(NotInDoubtError, match=f"it is {name}"):
            await _settle(given, settle_as, an_alert(name).alert_id)
        assert await given.status_of(name) == name
    assert await given.sql("SELECT * FROM doubt_settlements") == []


@pytest.mark.parametrize("alert_id", ["", "nobody", f"{A}\0", "x" * 500])
async def test_an_alert_that_is_not_there_is_not_found(given: Given, alert_id: str) -> None:
    """Neither to look at nor to settle."""
    await _in_doubt(given, "a")
    with pytest.raises(AlertNotFoundError):
        await given.store.history.get_alert(alert_id)
    with pytest.raises(AlertNotFoundError):
        await _settle(given, SettleAs.SENT, alert_id)


async def test_all_doubts_of_a_run_are_settled_at_once(given: Given) -> None:
    """What it reports in doubt and still is, whoever left it so; nothing else, and once."""
    await _in_doubt(given, "a", "b", "c")
    await _settle(given, SettleAs.SENT, an_alert("b").alert_id)
    lease, (entry,) = await given.a_recorded("r2", routed("d", "c", "a"))
    await given.claimed(lease, [entry])

    async def settled(run_id: str) -> list[str]:
        records = await given.store.doubts.settle_run(run_id, SettleAs.RESEND, by="ann", note=None, now=LATER)
        assert {record.status for record in records} <= {"pending"}
        assert {record.settled[-1].by for record in records} <= {"ann"}
        return [record.alert.subject for record in records]

    assert await settled("r2") == ["c", "a"]
    assert await settled("r2") == []
    assert [await given.status_of(name) for name in "abcd"] == ["pending", "sent", "pending", "sending"]
    with pytest.raises(RunNotFoundError):
        await settled("r1\0")


async def test_a_doubt_of_a_run_at_work_is_settled_too(given: Given) -> None:
    """Its answer was lost a moment ago; the run then reports what was decided."""
    lease, (entry,) = await given.a_recorded("r1", routed("a"))
    await given.claimed(lease, [entry])
    await given.settled(lease, the_answer(entry, DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST))
    (record,) = await given.store.doubts.settle_run("r1", SettleAs.SENT, by="ann", note=None, now=LATER)
    assert record.status == "sent"
    await given.finished("r1", alerts=1)
    assert (await given.outcomes("r1"))["a"].outcome == "sent"


async def test_a_finished_run_keeps_what_it_reported(given: Given) -> None:
    """The doubt was real when the run ended; how it was settled since, the alert says."""
    await _in_doubt(given, "a")
    before = await given.store.history.get_run("r1"), await given.outcomes("r1")
    await _settle(given, SettleAs.SENT)
    assert (await given.store.history.get_run("r1"), await given.outcomes("r1")) == before


async def test_a_late_ok_is_believed_after_it_was_settled_to_be_resent(given: Given) -> None:
    """Unless it was claimed again: then the answer belongs to a claim that is over."""
    (entry,) = await _in_doubt(given, "a")
    lease = await given.a_lease("r2")
    await _settle(given, SettleAs.RESEND)
    await given.settled(lease, the_answer(entry, DeliveryStatus.FAILED))
    assert await given.status_of("a") == "pending"
    await given.settled(lease, the_answer(entry))
    assert await given.status_of("a") == "sent"
    (taken,) = await given.recorded(lease, routed("a"))
    assert taken.action is Action.SKIP_REPLAY


async def test_of_two_who_decide_at_once_one_does(given: Given) -> None:
    """The other learns that there is nothing to settle any more."""
    await _in_doubt(given, "a")
    results = await asyncio.gather(
        *(_settle(given, settle_as) for settle_as in SettleAs), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["NotInDoubtError", "tuple"]
    (kept,) = (await given.store.history.get_alert(A)).settled
    done = next(result for result in results if isinstance(result, tuple))
    assert done[0].settled == (kept,)
