"""Turns: the pace of a lane, and its pauses, are one for all runs and all processes of a database."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import pytest

from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.month import Month
from service.domain.pace import CLOCK_SLACK_S, LATENESS_MADE_UP_S
from service.store.outbox.lane_turns import SharedLane
from service.store.outbox.send import Claimed, OutboxEntry, Settlement
from service.store.runs.state import Lease
from service.store.store import Store, open_store
from tests.support.alerts import MONTH
from tests.support.given import LEASE_S, NOW, Given, routed, the_answer

HOUR = 3600.0
AMER = SharedLane(key="a" * 64, interval=HOUR)
EMEA = SharedLane(key="e" * 64, interval=HOUR)
LANES = {"amer": AMER, "emea": EMEA}
UNPACED = {"amer": SharedLane(key="a" * 64, interval=0)}
FEBRUARY = Month.parse("2026-02-01")


async def _claim(
    store: Store,
    lease: Lease,
    entries: Iterable[OutboxEntry],
    *,
    lanes: Mapping[str, SharedLane] = LANES,
    settlements: Sequence[Settlement] = (),
) -> Claimed:
    claimed = await store.outbox.settle_and_claim(
        lease, settlements, list(entries), now=NOW, lease_s=LEASE_S, lanes=lanes
    )
    assert not claimed.is_overtaken
    return claimed


async def _outbox(given: Given, run_id: str = "r1", *, month: Month = MONTH) -> Lease:
    """Record three alerts of one channel and one of another."""
    lease = await given.a_lease(run_id, month=month)
    items = routed(*(f"{run_id}-{number}" for number in range(3))) + routed(f"{run_id}-e", channel="emea")
    await given.recorded(lease, items)
    return lease


async def _later(given: Given, seconds: float) -> None:
    """Let time pass: all that is written down about lanes is so much longer ago."""
    await given.sql(
        "UPDATE lanes SET next_turn = next_turn - :s, paused_until = paused_until - :s", s=seconds
    )


def _rate_limited(entry: OutboxEntry, seconds: float, *, lane: SharedLane = AMER) -> Settlement:
    """Return a 429 that was answered a second before it is settled at `NOW`."""
    return Settlement(
        alert_id=entry.alert_id,
        claim=entry.claims + 1,
        status=DeliveryStatus.PENDING,
        claimed_at=NOW,
        settled_at=NOW - timedelta(seconds=1),
        posted=True,
        reason=Reason.RATE_LIMITED,
        http_status=429,
        retry_after_s=seconds,
        lane=lane.key,
    )


async def test_tenants_share_the_pace_of_a_lane_and_its_pauses(given: Given, database_url: str) -> None:
    """Whose message it is makes no difference to Slack; each sees and sends its own alerts only."""
    async with open_store(database_url, tenant_id="11111111-2222-4333-8444-555555555555") as other:
        theirs = Given(other)
        first, second = await _outbox(given, "ours"), await _outbox(theirs, "theirs")
        ours, their = (await given.pending(first))[0], (await theirs.pending(second))[0]
        assert (await _claim(given.store, first, [ours])).alert_ids == {ours.alert_id}
        waiting = await _claim(other, second, [their])
        assert waiting.alert_ids == set()
        assert HOUR - 60 < waiting.waits[their.alert_id] <= HOUR
        await _later(given, HOUR)
        await _claim(given.store, first, [], settlements=[_rate_limited(ours, 10 * HOUR)])
        assert (await _claim(other, second, [their])).waits[their.alert_id] > 9 * HOUR


async def test_each_lane_lets_out_one_message_a_turn(given: Given) -> None:
    """Of a batch the first of each lane leaves; the others stay pending and hear when the next turn comes."""
    lease = await _outbox(given)
    entries = await given.pending(lease)
    claimed = await _claim(given.store, lease, entries)
    first, *rest, other_lane = entries
    assert claimed.alert_ids == {first.alert_id, other_lane.alert_id}
    assert claimed.waits.keys() == {entry.alert_id for entry in rest}
    assert all(HOUR - 60 < wait <= HOUR for wait in claimed.waits.values())
    assert await given.pending(lease) == rest


async def test_runs_of_two_processes_share_the_turns_of_a_lane(given: Given, database_url: str) -> None:
    """What one process has let out the other one waits for, until the turn has come."""
    january, february = await _outbox(given), await _outbox(given, "r2", month=FEBRUARY)
    mine, others = await given.pending(january), await given.pending(february)
    async with open_store(database_url) as other:
        assert (await _claim(given.store, january, mine[:1])).alert_ids
        assert (await _claim(other, february, others[:1])).waits.keys() == {others[0].alert_id}
        await _later(given, HOUR)
        assert (await _claim(other, february, others[:1])).alert_ids == {others[0].alert_id}
        assert (await _claim(given.store, january, mine[1:2])).waits.keys() == {mine[1].alert_id}


async def test_of_many_who_want_a_turn_at_once_one_gets_it(given: Given, database_url: str) -> None:
    """However many claims of several processes race, a turn is granted once."""
    january, february = await _outbox(given), await _outbox(given, "r2", month=FEBRUARY)
    mine, others = await given.pending(january), await given.pending(february)
    async with open_store(database_url) as other:
        claims = [_claim(given.store, january, [entry]) for entry in mine[:3]]
        claims += [_claim(other, february, [entry]) for entry in others[:3]]
        granted = [alert_id for claimed in await asyncio.gather(*claims) for alert_id in claimed.alert_ids]
    assert len(granted) == 1


async def test_channels_that_share_a_destination_share_its_turns(given: Given) -> None:
    """One webhook for two channels has one pace."""
    lease = await _outbox(given)
    claimed = await _claim(given.store, lease, await given.pending(lease), lanes={"amer": AMER, "emea": AMER})
    assert (len(claimed.alert_ids), len(claimed.waits)) == (1, 3)


async def test_a_turn_that_nobody_took_is_not_saved_up(given: Given) -> None:
    """After a long silence one message leaves and not many; a few hundredths of a second are made up."""
    lease = await _outbox(given)
    entries = await given.pending(lease)
    await _claim(given.store, lease, entries[:1])
    await _later(given, 10 * HOUR)
    claimed = await _claim(given.store, lease, entries[1:3])
    assert claimed.alert_ids == {entries[1].alert_id}
    assert HOUR - LATENESS_MADE_UP_S - 60 < claimed.waits[entries[2].alert_id] <= HOUR


async def test_a_clock_that_was_put_back_stops_no_lane(given: Given) -> None:
    """A turn further ahead than the pace allows is taken as due, and the pace goes on from there."""
    lease = await _outbox(given)
    first, second, third, _ = await given.pending(lease)
    await _claim(given.store, lease, [first])
    await _later(given, -2 * HOUR)
    assert (await _claim(given.store, lease, [second])).alert_ids == {second.alert_id}
    assert HOUR - 60 < (await _claim(given.store, lease, [third])).waits[third.alert_id] <= HOUR


async def test_a_clock_that_is_corrected_a_little_keeps_the_pace(given: Given) -> None:
    """A turn that lies a few milliseconds further ahead than the pace allows is waited for."""
    lease = await _outbox(given)
    first, second, *_ = await given.pending(lease)
    await _claim(given.store, lease, [first])
    await given.sql(
        "UPDATE lanes SET next_turn = (SELECT expires_at FROM runs) - :lease_s + :ahead_s",
        lease_s=LEASE_S,
        ahead_s=HOUR + CLOCK_SLACK_S / 2,
    )
    assert (await _claim(given.store, lease, [second])).waits.keys() == {second.alert_id}


async def test_a_pause_from_before_the_clock_was_put_back_is_over(given: Given) -> None:
    """A pause that ends further ahead than it was long stops nothing, and a new one takes its place."""
    lease = await _outbox(given)
    first, second, third, _ = await given.pending(lease)
    await _claim(given.store, lease, [], settlements=[_rate_limited(first, 2 * HOUR)])
    await _later(given, -3 * HOUR)
    assert (await _claim(given.store, lease, [second], lanes=UNPACED)).alert_ids == {second.alert_id}
    await _claim(given.store, lease, [], settlements=[_rate_limited(second, HOUR)])
    claimed = await _claim(given.store, lease, [third], lanes=UNPACED)
    assert HOUR - 60 < claimed.waits[third.alert_id] <= HOUR


async def test_a_pause_of_an_older_version_is_waited_for(given: Given) -> None:
    """One whose length was not written down is believed."""
    lease = await _outbox(given)
    first, second, *_ = await given.pending(lease)
    await _claim(given.store, lease, [], settlements=[_rate_limited(first, HOUR)])
    await given.sql("UPDATE lanes SET pause_s = NULL")
    assert (await _claim(given.store, lease, [second], lanes=UNPACED)).waits.keys() == {second.alert_id}


async def test_an_unpaced_lane_books_no_turns(given: Given) -> None:
    """Without a pace everything leaves at once and nothing is written down about the lane."""
    lease = await _outbox(given)
    entries = (await given.pending(lease))[:3]
    assert (await _claim(given.store, lease, entries, lanes=UNPACED)).alert_ids == {
        entry.alert_id for entry in entries
    }
    assert await given.sql("SELECT * FROM lanes") == []


@pytest.mark.parametrize("lanes", [LANES, UNPACED], ids=["paced", "unpaced"])
async def test_a_pause_that_one_run_was_given_stops_all(
    given: Given, database_url: str, lanes: Mapping[str, SharedLane]
) -> None:
    """A 429's Retry-After holds for every process from its settlement on, paced or not; then all go on."""
    january, february = await _outbox(given), await _outbox(given, "r2", month=FEBRUARY)
    mine, others = (await given.pending(january))[0], (await given.pending(february))[0]
    await _claim(given.store, january, [mine], lanes=lanes)
    await _claim(given.store, january, [], settlements=[_rate_limited(mine, 10 * HOUR)])
    async with open_store(database_url) as other:
        claimed = await _claim(other, february, [others], lanes=lanes)
        assert claimed.alert_ids == set()
        # A second went by between the answer and its settlement.
        assert claimed.waits[others.alert_id] == pytest.approx(10 * HOUR - 1, abs=60)
        assert claimed.waits[others.alert_id] <= 10 * HOUR - 1
        await _later(given, 10 * HOUR)
        assert (await _claim(other, february, [others], lanes=lanes)).alert_ids == {others.alert_id}


async def test_a_pause_and_the_claims_that_it_stops_share_a_transaction(given: Given) -> None:
    """What is claimed together with the settlement of a 429 waits for its pause already."""
    lease = await _outbox(given)
    first, second, _, other_lane = await given.pending(lease)
    await _claim(given.store, lease, [first], lanes=UNPACED)
    claimed = await _claim(
        given.store,
        lease,
        [second, other_lane],
        lanes=UNPACED | {"emea": EMEA},
        settlements=[_rate_limited(first, HOUR)],
    )
    assert claimed.alert_ids == {other_lane.alert_id}, "another lane's 429 is no concern of this one"
    assert claimed.waits.keys() == {second.alert_id}


async def test_the_longest_pause_counts(given: Given) -> None:
    """A second 429 does not shorten the pause of the first, in the same transaction or in a later one."""
    lease = await _outbox(given)
    entries = await given.pending(lease)
    limited = [_rate_limited(entry, pause) for entry, pause in zip(entries, (HOUR, 1.5, 0.5), strict=False)]
    await _claim(given.store, lease, [], settlements=limited[:2])
    await _claim(given.store, lease, [], settlements=limited[2:])
    claimed = await _claim(given.store, lease, entries[:1], lanes=UNPACED)
    assert HOUR - 60 < claimed.waits[entries[0].alert_id] <= HOUR


async def test_other_answers_pause_nothing(given: Given) -> None:
    """A delivery, or a 429 that names no time, leaves the lane as it is."""
    lease = await _outbox(given)
    entries = await given.pending(lease)
    await _claim(given.store, lease, [], settlements=[the_answer(entries[0])])
    assert (await _claim(given.store, lease, entries[:1])).waits == {}


async def test_who_was_overtaken_takes_no_turn(given: Given) -> None:
    """A run whose month is another's neither claims nor uses up the lane's turn."""
    lease = await _outbox(given)
    entry = (await given.pending(lease))[0]
    await given.expired("r1")
    await given.a_lease("r2")
    claimed = await given.store.outbox.settle_and_claim(
        lease, [], [entry], now=NOW, lease_s=LEASE_S, lanes=LANES
    )
    assert claimed.is_overtaken
    assert await given.sql("SELECT * FROM lanes") == []
