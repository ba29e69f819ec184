"""Lanes: the order, the pace, and that no destination holds up another."""

import asyncio
from dataclasses import replace

from mock_slack.script import Step
from service.domain.delivery_status import Outcome
from service.domain.pace import LATENESS_MADE_UP_S
from tests.support.clocks import ScaledClock
from tests.support.house import AMER, APAC, EMEA, House, arrivals
from tests.support.rows import account, accounts
from tests.support.waiting import until


async def test_each_lane_sends_what_matters_most_first(house: House) -> None:
    """Alerts arrive by falling ARR in each channel, an unknown ARR last, equal ones by account."""
    rows = [
        account("tie-b", arr=70_000),
        account("small", arr=20_000),
        account("unknown", arr=None),
        account("tie-a", arr=70_000),
        account("big", arr=90_000),
        account("emea-small", account_region="EMEA", arr=30_000),
        account("emea-big", account_region="EMEA", arr=80_000),
    ]
    async with house.open(slack_concurrency=1, alert_on_unknown_arr=True) as desk:
        await desk.run(house.source(rows))
    arrived = arrivals(house.slack)
    assert [who for channel, who in arrived if channel == AMER] == [
        "big",
        "tie-a",
        "tie-b",
        "small",
        "unknown",
    ]
    assert [who for channel, who in arrived if channel == EMEA] == ["emea-big", "emea-small"]


async def test_regions_that_share_a_channel_share_its_lane(house: House) -> None:
    """Two regions on one channel go out in one order, by ARR over both."""
    rows = [
        account("amer-2", arr=30_000),
        account("emea-1", account_region="EMEA", arr=40_000),
        account("amer-0", arr=50_000),
        account("emea-3", account_region="EMEA", arr=20_000),
    ]
    shared = {"AMER": "west", "EMEA": "west"}
    async with house.open(slack_concurrency=1, region_channels=shared) as desk:
        record = await desk.run(house.source(rows))
    assert record.counts.alerts_sent == 4
    assert arrivals(house.slack) == [
        ("west", "amer-0"),
        ("west", "emea-1"),
        ("west", "amer-2"),
        ("west", "emea-3"),
    ]


async def test_a_single_webhook_is_one_lane_and_its_messages_name_their_channel(house: House) -> None:
    """With one webhook for all, alerts of all regions go there by ARR and each says whose it is."""
    rows = [account("e", account_region="EMEA", arr=90_000), account("a", arr=80_000)]
    hook = f"{house.slack.webhook_base_url}/the-one"
    async with house.open(slack_webhook_base_url=None, slack_webhook_url=hook, slack_concurrency=1) as desk:
        await desk.run(house.source(rows))
    assert arrivals(house.slack) == [("the-one", "e"), ("the-one", "a")]
    texts = [(record.payload or {})["text"] for record in house.slack.records()]
    assert [EMEA in texts[0], AMER in texts[1]] == [True, True]


async def test_a_lane_keeps_its_pace(house: House) -> None:
    """Six alerts at two a second need two and a half seconds, however fast Slack answers."""
    slower = replace(house, clock=ScaledClock(5))
    source = house.source(accounts(6))
    async with slower.open(slack_messages_per_second=2) as desk:
        began = slower.clock.monotonic()
        record = await desk.run(source)
        took = slower.clock.monotonic() - began
    assert record.counts.alerts_sent == 6
    assert took >= 5 * 0.5 - 0.1


async def test_lanes_are_paced_side_by_side(house: House) -> None:
    """Each lane has a pace of its own: the channels' messages mix instead of following each other."""
    rows = accounts(5) + accounts(5, region="EMEA", prefix="e")
    async with house.open(slack_messages_per_second=2) as desk:
        await desk.run(house.source(rows))
    channels = [channel for channel, _ in arrivals(house.slack)]
    assert AMER in channels[channels.index(EMEA) :]
    assert EMEA in channels[channels.index(AMER) :]


async def test_runs_of_different_months_share_a_lanes_pace(house: House) -> None:
    """Two months side by side send no faster than one, and each gets its share."""
    slower = replace(house, clock=ScaledClock(10))
    rows = accounts(6) + accounts(6, prefix="b", month="2026-02-01")
    source = house.source(rows)
    async with slower.open(slack_messages_per_second=2) as desk:
        began = slower.clock.monotonic()
        records = await asyncio.gather(desk.run(source), desk.run(source, month="2026-02-01"))
        took = slower.clock.monotonic() - began
    assert [record.counts.alerts_sent for record in records] == [6, 6]
    assert took >= 11 * 0.5 - LATENESS_MADE_UP_S


async def test_no_more_posts_are_open_than_there_are_senders(house: House) -> None:
    """SLACK_CONCURRENCY bounds the POSTs in flight over all lanes, and is used in full."""
    rows = accounts(8) + accounts(8, region="EMEA", prefix="e")
    for channel in (AMER, EMEA):
        house.slack.script(channel, Step(delay_s=0.3, times=8))
    async with house.open(slack_concurrency=4) as desk:
        record = await desk.run(house.source(rows))
    assert record.counts.alerts_sent == 16
    assert house.slack.stats().total.max_concurrent_requests == 4


async def test_a_hanging_destination_never_holds_every_sender(house: House) -> None:
    """While one channel hangs, another's alerts get through on the sender that is kept for it."""
    rows = accounts(4) + accounts(3, region="EMEA", prefix="e")
    house.slack.script(AMER, Step(delay_s=60, times=4))
    async with house.open(slack_concurrency=3, slack_timeout_s=1.5) as desk:
        record = await desk.run(house.source(rows))
        outcomes = await desk.outcomes(record)
    assert {outcomes[f"e{number:04d}"] for number in range(3)} == {Outcome.SENT}
    assert {outcomes[f"a{number:04d}"] for number in range(4)} == {Outcome.UNKNOWN}
    channels = [channel for channel, _ in arrivals(house.slack)]
    before_the_last_of_emea = channels[: len(channels) - channels[::-1].index(EMEA)]
    assert before_the_last_of_emea.count(AMER) <= 2


async def test_a_hanging_destination_holds_up_no_lane_of_another_run(house: House) -> None:
    """Runs of two months share the senders: what hangs in both holds no more than it may in one."""
    rows = [
        row
        for month in ("2026-01-01", "2026-02-01")
        for row in accounts(4, prefix=f"a{month}", month=month)
        + accounts(3, region="EMEA", prefix=f"e{month}", month=month)
    ]
    source = house.source(rows)
    # None is given up: the mock learns of that late, and would count one more at the same time.
    house.slack.script(AMER, Step(delay_s=4, times=8))
    # Slow enough that neither run's lane to EMEA has ended before the other's has begun.
    house.slack.script(EMEA, Step(delay_s=0.3, times=6))
    async with house.open(slack_concurrency=3, slack_timeout_s=60) as desk:
        records = await asyncio.gather(desk.run(source), desk.run(source, month="2026-02-01"))
    assert [record.counts.alerts_sent for record in records] == [7, 7]
    channels = [channel for channel, _ in arrivals(house.slack)]
    before_the_last_of_emea = channels[: len(channels) - channels[::-1].index(EMEA)]
    assert before_the_last_of_emea.count(AMER) <= 2
    assert house.slack.stats().total.max_concurrent_requests == 3


async def test_a_retry_that_waits_does_not_block_its_lane(house: House) -> None:
    """After a 500 the next alerts leave at once, and the first one follows when its wait is over."""
    slower = replace(house, clock=ScaledClock(2))
    house.slack.script(AMER, Step(status=500))
    async with slower.open(slack_concurrency=1) as desk:
        record = await desk.run(house.source(accounts(4)))
    assert record.counts.alerts_sent == 4
    arrived = [who for _, who in arrivals(house.slack)]
    assert arrived[:2] == ["a0000", "a0001"]
    assert arrived[2:].count("a0000") == 1


async def test_a_429_pauses_its_lane_and_nothing_leaves_inside_it(house: House) -> None:
    """From the 429 on, no request of the lane arrives before Retry-After is over."""
    house.slack.script(AMER, Step(), Step(status=429, headers={"Retry-After": "5"}))
    async with house.open(slack_concurrency=1) as desk:
        record = await desk.run(house.source(accounts(5)))
    assert record.counts.alerts_sent == 5
    stats = house.slack.stats().channels[AMER]
    assert stats.requests_inside_retry_after == 0
    assert (stats.shortest_gap_after_429_s or 0) >= 5
    assert [who for _, who in arrivals(house.slack)] == [
        "a0000",
        "a0001",
        "a0001",
        "a0002",
        "a0003",
        "a0004",
    ]


async def test_a_429_does_not_concern_other_lanes(house: House) -> None:
    """While one lane is paused for ten minutes, the others finish."""
    rows = accounts(2) + accounts(5, region="EMEA", prefix="e") + accounts(5, region="APAC", prefix="p")
    house.slack.script(AMER, Step(status=429, headers={"Retry-After": "600"}))
    faster = replace(house, clock=ScaledClock(400))
    async with faster.open(slack_concurrency=3, delivery_deadline_s=40_000, slack_timeout_s=300) as desk:
        record = await desk.run(house.source(rows))
    assert record.counts.alerts_sent == 12
    channels = [channel for channel, _ in arrivals(house.slack)]
    second_of_amer = [place for place, channel in enumerate(channels) if channel == AMER][1]
    assert {EMEA, APAC}.isdisjoint(channels[second_of_amer:])


async def test_the_progress_of_a_run_knows_its_pause(house: House) -> None:
    """So that the time left counts it from its beginning."""
    house.slack.script(AMER, Step(status=429, headers={"Retry-After": "60"}))
    async with house.open() as desk:
        running = asyncio.create_task(desk.run(house.source(accounts(1))))
        await until(house.lanes_paused, what="the lane pauses")
        (at_work,) = desk.app.at_work.runs.values()
        await until(lambda: at_work.progress.paused_s, what="the pause is reported")
        assert 0 < at_work.progress.pause_left_s(house.clock.now().timestamp()) <= 60
        await running
    assert at_work.progress.paused_s == 60


async def test_a_429_stops_the_runs_of_other_months_too(house: House) -> None:
    """What Slack has asked of one run a run of another month keeps to, from its first message on."""
    house.slack.script(AMER, Step(status=429, headers={"Retry-After": "60"}))
    source = house.source([account("a"), account("b", month="2026-02-01")])
    async with house.open() as desk:
        january = asyncio.create_task(desk.run(source))
        await until(house.lanes_paused, what="the first has left in vain")
        february = await desk.run(source, month="2026-02-01")
        assert (await january).counts.alerts_sent == february.counts.alerts_sent == 1
    stats = house.slack.stats().channels[AMER]
    assert (stats.requests_inside_retry_after, stats.requests) == (0, 3)
