"""Which messages are to show what: noted with what changes an alert, taken in turn, on either database."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from service.domain.delivery_status import AmbiguousSends, DeliveryStatus, Reason
from service.domain.errors import OvertakenError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import AlertStatus, AlertStep
from service.domain.month import Month
from service.runs.waiting.kind import outbox_request
from service.store.outbox.lane_turns import SharedLane
from service.store.outbox.message_updates import DueUpdate, Wanted
from service.store.runs.state import Lease
from tests.support.alerts import MONTH, an_alert
from tests.support.given import LEASE_S, NOW, Given, routed, the_answer

LANE: Final = SharedLane(key="lane", interval=0.0)
OTHER: Final = "11111111-2222-4333-8444-555555555555"


async def posted(given: Given, run_id: str, *names: str, month: Month = MONTH, **facts: Any) -> None:
    """Let a bot post the alerts of a month, and Slack say where they stand."""
    alerts = [an_alert(name, month=month, **facts) for name in names]
    lease, entries = await given.a_recorded(run_id, routed(*alerts), month=month)
    await given.claimed(lease, entries)
    await given.settled(lease, *(the_answer(entry) for entry in entries))
    await given.sql("UPDATE outbox SET slack_channel = 'C1', slack_ts = subject WHERE slack_ts IS NULL")
    await given.finished(run_id, alerts=len(names))


async def acknowledged(given: Given, name: str) -> None:
    """Let somebody take an alert."""
    await given.store.alert_work.take(an_alert(name).alert_id, AlertStep.ACKNOWLEDGE, note="n", by="ann")


def wanted(seconds: float = 0.0) -> Wanted:
    """Return what a process wants so many seconds from now, by the clock of the test."""
    return Wanted(
        types=["risk_alert"],
        since=NOW - timedelta(days=10_000),
        now=NOW + timedelta(seconds=seconds),
        method=SharedLane(key="updates", interval=0.0),
    )


async def a_lease(given: Given, run_id: str = "u1") -> Lease:
    """Return the lease of an outbox run at work."""
    runs, request = given.store.runs, outbox_request(given.store.runs._tenant_id)
    await runs.begin(run_id, request, started_at=NOW, lease_s=LEASE_S)
    lease = await runs.acquire_lease(run_id, request.scope, now=NOW)
    assert isinstance(lease, Lease)
    return lease


async def taken(given: Given, lease: Lease, seconds: float = 0.0) -> DueUpdate | float | None:
    """Take the next message of a channel."""
    take = given.store.message_updates.take
    return await take(lease, "amer", wanted(seconds), lane=LANE, lease_s=LEASE_S)


async def test_a_change_is_due_once_and_shows_what_holds(given: Given) -> None:
    """Two changes are one; settled, nothing is due, and what nobody changed never was."""
    await posted(given, "r1", "a", "b")
    updates = given.store.message_updates
    assert await updates.tenants(wanted()) == []
    await acknowledged(given, "a")
    alert_id = an_alert("a").alert_id
    await given.store.alert_work.take(alert_id, AlertStep.RESOLVE, note="over", by="bob")
    (tenant,) = await updates.tenants(wanted())
    lease = await a_lease(given)
    assert await updates.tenants(wanted()) == []  # somebody is at it
    assert await updates.channels(wanted()) == ["amer"]
    due = await taken(given, lease)
    assert isinstance(due, DueUpdate)
    assert (due.alert.subject, due.slack_channel, due.slack_ts, due.tries) == ("a", "C1", "a", 0)
    state = due.state
    assert (state.status, state.by, state.note, state.reason) == (
        AlertStatus.RESOLVED,
        "bob",
        "over",
        "person",
    )
    assert (due.facts, due.now, due.earlier) == (None, due.alert, None)
    await updates.shown(due, now=NOW)
    assert await taken(given, lease) is None
    assert await updates.channels(wanted()) == []
    other = given.store.seen_by(Actor.system(OTHER), Scope.of_system(OTHER))
    assert tenant == given.store.runs._tenant_id
    assert await other.message_updates.tenants(wanted()) == []


async def test_only_what_was_sent_and_has_a_place_is_due(given: Given) -> None:
    """What is on its way, or failed, is due once it stands, however long after; of a webhook none ever is."""
    lease, entries = await given.a_recorded("r1", routed("sent", "failed", "webhook"))
    await given.claimed(lease, entries)
    for name in ("sent", "failed", "webhook"):
        await acknowledged(given, name)
    updates = given.store.message_updates
    assert await updates.channels(wanted()) == []
    answers = {entry.subject: the_answer(entry) for entry in entries}
    answers["failed"] = the_answer(
        next(entry for entry in entries if entry.subject == "failed"),
        DeliveryStatus.FAILED,
        reason=Reason.GONE,
    )
    await given.settled(lease, *answers.values())
    assert await updates.channels(wanted()) == []
    await given.sql("UPDATE outbox SET slack_channel = 'C1', slack_ts = '1.0' WHERE subject <> 'webhook'")
    due = await taken(given, await a_lease(given))
    assert isinstance(due, DueUpdate)
    assert due.alert.subject == "sent"
    await updates.shown(due, now=NOW)
    assert await updates.channels(wanted()) == []
    await given.sql("UPDATE outbox SET status = 'sent', sent_at = updated_at WHERE subject = 'failed'")
    await given.sql("UPDATE message_updates SET changed_at = '1990-01-01 00:00:00'")
    assert await updates.channels(wanted()) == ["amer"]


async def test_what_is_put_off_waits_with_its_channel_and_comes_last(given: Given) -> None:
    """A later change of it does not come before its time either; a final reason ends it."""
    await posted(given, "r1", "a", "b")
    await acknowledged(given, "a")
    await acknowledged(given, "b")
    updates, lease = given.store.message_updates, await a_lease(given)
    first = await taken(given, lease)
    assert isinstance(first, DueUpdate)
    pause = ("lane", 0.5)
    await updates.put_off(first, Reason.RATE_LIMITED, "wait", until=NOW + timedelta(seconds=9), pause=pause)
    assert await updates.channels(wanted(8)) == []
    take = await taken(given, lease, 9)
    assert isinstance(take, float)  # the lane pauses
    assert 0 < take <= 0.5
    await given.sql("UPDATE lanes SET paused_until = 0")
    second = await taken(given, lease, 9)
    assert isinstance(second, DueUpdate)
    assert second.alert.subject != first.alert.subject
    await updates.failed(second, Reason.NOT_FOUND, "Slack said message_not_found", now=NOW)
    again = await taken(given, lease, 9)
    assert isinstance(again, DueUpdate)
    assert (again.alert.subject, again.tries) == (first.alert.subject, 1)
    await given.store.alert_work.take(again.alert.alert_id, AlertStep.RESOLVE, note=None, by="bob")
    await updates.shown(again, now=NOW)  # of the change before
    (row,) = await given.sql("SELECT tries, error FROM message_updates WHERE status = 'due'")
    assert (row["tries"], row["error"]) == (0, None)


async def test_a_pause_of_the_method_holds_every_change(given: Given) -> None:
    """In each channel and of each tenant; turns of a channel are not used up meanwhile, and posts go on."""
    await posted(given, "r1", "a", "b")
    await acknowledged(given, "a")
    await acknowledged(given, "b")
    updates, tenants = given.store.message_updates, await given.store.message_updates.tenants(wanted())
    lease = await a_lease(given)
    first = await taken(given, lease)
    assert isinstance(first, DueUpdate)
    await updates.put_off(first, Reason.RATE_LIMITED, "wait", until=NOW, pause=("updates", 60.0))
    assert await updates.channels(wanted()) == []
    wait_s = await taken(given, lease)
    assert isinstance(wait_s, float)
    assert 50 < wait_s <= 60
    await given.finished("u1", alerts=0)
    assert await updates.tenants(wanted()) == []
    assert await given.sql("SELECT * FROM lanes WHERE lane = 'lane'") == []
    # Booked before the clock was put back by an hour: it would be waited for as long.
    await given.sql("UPDATE lanes SET paused_until = paused_until + 3600")
    assert await updates.tenants(wanted()) == tenants
    with pytest.raises(OvertakenError):
        await taken(given, lease)


async def test_changes_of_all_channels_take_turns(given: Given) -> None:
    """One pace is over all of them; while either turn has not come, none of the other's is used up."""
    await posted(given, "r1", "a", "b")
    await acknowledged(given, "a")
    await acknowledged(given, "b")
    lease, take = await a_lease(given), given.store.message_updates.take
    paced = replace(wanted(), method=SharedLane(key="updates", interval=100.0))
    lanes = [SharedLane(key=key, interval=100.0) for key in ("lane", "other")]
    first = await take(lease, "amer", paced, lane=lanes[0], lease_s=LEASE_S)
    assert isinstance(first, DueUpdate)
    of_another = replace(paced, method=SharedLane(key="free", interval=100.0))
    for asked, lane in ((paced, lanes[1]), (of_another, lanes[0])):
        wait_s = await take(lease, "amer", asked, lane=lane, lease_s=LEASE_S)
        assert isinstance(wait_s, float)
        assert 90 < wait_s <= 100
    turns = await given.sql("SELECT lane FROM lanes ORDER BY lane")
    assert [row["lane"] for row in turns] == ["lane", "updates"]


async def test_a_lost_lease_takes_nothing(given: Given) -> None:
    """Whoever resumed the run has the newer state."""
    await posted(given, "r1", "a")
    await acknowledged(given, "a")
    lease = await a_lease(given)
    await given.finished("u1", alerts=0)
    with pytest.raises(OvertakenError):
        await taken(given, lease)


async def test_a_restated_message_has_both_facts(given: Given) -> None:
    """As it was sent, and as the same source has it by now; found again as it was sent, it has one."""
    await posted(given, "r1", "a", arr=10)
    for run_id, arr, known in (("r2", 20, 20), ("r3", 20, 20), ("r4", 10, None)):
        await given.a_recorded(run_id, routed(an_alert("a", arr=arr)))
        await given.finished(run_id, alerts=1)
        (row,) = await given.sql("SELECT change, status FROM message_updates")
        assert row == {"change": 2 if run_id == "r4" else 1, "status": "due"}
        lease = await a_lease(given, f"u{run_id}")
        due = await taken(given, lease)
        assert isinstance(due, DueUpdate)
        assert (due.alert.facts["arr"], due.now.facts["arr"]) == (10, known or 10)
        assert (due.facts is None) == (known is None)
        await given.finished(f"u{run_id}", alerts=0)


async def test_another_source_restates_nothing(given: Given) -> None:
    """A trial over a copy must not rewrite what stands in a channel."""
    await posted(given, "r1", "a", arr=10)
    await given.a_recorded("r2", routed(an_alert("a", arr=20)), source="file:///copy.parquet")
    assert await given.sql("SELECT * FROM message_updates") == []


@pytest.mark.parametrize(("by", "noted"), [("ann", 0), ("slack:U0ANN", 1)])
async def test_what_is_recorded_says_what_has_become_of_its_alert(given: Given, by: str, noted: int) -> None:
    """In its first post, but for whom Slack alone can name: that is to be shown by a change."""
    await posted(given, "r1", "a")
    work = given.store.alert_work
    await work.take(an_alert("a").alert_id, AlertStep.ACKNOWLEDGE, note=None, by=by)
    month = MONTH.minus(-1)
    lease = await given.a_lease("r2", month=month)
    later = [an_alert(name, month=month) for name in ("a", "b")]
    await given.store.recording.record(
        lease,
        routed(*later),
        ambiguous=AmbiguousSends.HOLD,
        restatable=(),
        payload_of=lambda item, state: f"{item.alert.subject} {state.status} {state.by}",
        now=NOW,
    )
    payloads = [each.payload for each in await given.pending(lease)]
    assert payloads == [f"a acknowledged {by}", routed(later[1])[0].payload]
    query = "SELECT count(*) AS due FROM message_updates WHERE occurrence_id = :id"
    assert await given.sql(query, id=later[0].alert_id) == [{"due": noted}]


async def test_a_month_knows_the_message_before_it(given: Given) -> None:
    """The last one that stands in Slack, of the same account; also once a message is changed."""
    for number, month in enumerate(("2025-10-01", "2025-11-01", "2025-12-01")):
        await posted(given, f"r{number}", "a", month=Month.parse(month))
    await given.sql("UPDATE outbox SET slack_ts = NULL WHERE period = '2025-12-01'")
    lease, _ = await given.a_recorded("r9", routed("a", "b"))
    entries = await given.store.outbox.pending(lease, ["amer"], after=-1, limit=9, linked=True)
    found = {each.subject: each.earlier for each in entries}
    assert found["b"] is None
    assert found["a"] is not None
    assert (found["a"].period, found["a"].slack_channel, found["a"].slack_ts) == ("2025-11-01", "C1", "a")
    assert {each.earlier for each in await given.pending(lease)} == {None}
