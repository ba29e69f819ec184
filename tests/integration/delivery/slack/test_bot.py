"""A month goes out by a bot: what Slack answers is written down, and its words mean what they say."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from mock_slack.script import Step
from service.delivery.slack.bot import Bot
from service.delivery.slack.marker import Marker, Markers
from service.domain.delivery_status import Outcome, Reason
from service.domain.lifecycle.alert_status import AlertStep
from service.domain.lifecycle.managed_alert import AlertFilter
from service.runs.waiting.keep_sending import send_waiting
from service.telemetry.delivery_events import BotOpened, BotRefused
from service.telemetry.events import Event, Events
from tests.support.house import AMER, EMEA, MARKER_KEY, House, account_of, warning_codes, with_bot
from tests.support.rows import account, accounts


@pytest.fixture
def house(house: House) -> House:
    """Return a house whose messages go out by a bot, one at a time."""
    return with_bot(house)


def refusing(error: str, **step: Any) -> Step:
    """Return the answer that refuses a message with a word."""
    return Step(body={"ok": False, "error": error}, **step)


def places(house: House) -> dict[str, tuple[str, str]]:
    """Return where Slack says that each alert stands, by its id."""
    with closing(sqlite3.connect(house.database)) as ledger:
        found = ledger.execute("SELECT id, slack_channel, slack_ts FROM outbox").fetchall()
    return {alert_id: (channel, ts) for alert_id, channel, ts in found}


async def test_every_message_is_marked_and_its_place_is_kept(house: House) -> None:
    """The channel's name is looked up once; each message stands where the ledger says, with its marker."""
    rows = [*accounts(2), account("e", account_region="EMEA")]
    seen: list[Event] = []
    async with house.open(events=Events(seen.append)) as desk:
        record = await desk.run(house.source(rows))
        alerts = await desk.alerts(record)
    assert record.counts.alerts_sent == 3
    calls = house.slack.calls()
    assert {name: calls[name] for name in ("auth.test", "chat.postMessage")} == {
        "auth.test": 1,
        "chat.postMessage": 3,
    }
    messages = {name: house.slack.messages(name) for name in (AMER, EMEA)}
    assert [account_of(each) for each in messages[AMER]] == ["a0000", "a0001"]
    stands = {
        each["ts"]: Markers(MARKER_KEY).read(each["metadata"]) for name in messages for each in messages[name]
    }
    kept = places(house)
    assert {kept[alert.alert.alert_id][1]: Marker(alert.alert.alert_id, 1) for alert in alerts} == stands
    posted_to = {(record.payload or {})["channel"] for record in house.slack.records()}
    assert posted_to == {channel for channel, _ in kept.values()}
    assert all(channel.startswith("C0") for channel in posted_to)
    (opened,) = [event for event in seen if isinstance(event, BotOpened)]
    assert (opened.team, opened.channels) == ("Mock", 3)


async def test_slacks_words_are_outcomes(house: House) -> None:
    """A broken message fails, a failure on Slack's side is a doubt, and the next one is sent."""
    house.slack.script(
        AMER, refusing("invalid_blocks"), refusing("fatal_error", posted=True), refusing("a_new_word")
    )
    async with house.open(reconcile_for_s=0) as desk:
        record = await desk.run(house.source(accounts(4)))
        alerts = {row.alert.subject: row for row in await desk.alerts(record)}
    assert {name: (row.outcome, row.reason, row.error_message) for name, row in alerts.items()} == {
        "a0000": (Outcome.FAILED, Reason.BAD_REQUEST, "Slack said invalid_blocks"),
        "a0001": (Outcome.UNKNOWN, Reason.RESPONSE_LOST, "Slack said fatal_error"),
        "a0002": (Outcome.FAILED, Reason.REJECTED, "Slack said a_new_word"),
        "a0003": (Outcome.SENT, None, None),
    }


async def test_slack_asks_to_wait(house: House) -> None:
    """A 429 pauses the channel for all processes, and spends no retry."""
    house.slack.script(
        AMER, Step(status=429, headers={"Retry-After": "2"}, body={"ok": False, "error": "ratelimited"})
    )
    async with house.open() as desk:
        record = await desk.run(house.source(accounts(2)))
    assert record.counts.alerts_sent == 2
    assert house.lanes_paused() == 1
    assert house.slack.stats().total.requests_inside_retry_after == 0


async def test_a_bot_that_was_put_out_gives_the_lane_up(house: House) -> None:
    """Three refusals in a row that are the channel's or the token's fault; other channels do not notice."""
    house.slack.behave(absent_from={AMER})
    rows = accounts(5) + accounts(2, region="EMEA", prefix="e")
    async with house.open() as desk:
        record = await desk.run(house.source(rows))
        alerts = [row for row in await desk.alerts(record) if row.channel == AMER]
    assert record.counts.alerts_sent == 2
    assert {(row.outcome, row.reason) for row in alerts} == {(Outcome.FAILED, Reason.FORBIDDEN)}
    assert [row.attempts for row in alerts] == [1, 1, 1, 0, 0]
    assert (alerts[-1].error_message or "").startswith("the bot is refused (Slack said not_in_channel)")
    assert warning_codes(record)["destination_failed"] == 5


async def test_a_refused_token_is_logged_at_once(house: House) -> None:
    """By Slack's word; what is to be sent fails with its reason and goes with the next run."""
    refused = refusing("token_revoked")
    house.slack.script("auth.test", refused)
    house.slack.script(AMER, refused)
    seen: list[Event] = []
    async with house.open(events=Events(seen.append)) as desk:
        source = house.source(accounts(1))
        first, second = await desk.run(source), await desk.run(source)
    assert [event.detail for event in seen if isinstance(event, BotRefused)] == ["token_revoked"]
    assert [error.reason for error in first.sample_errors] == [Reason.UNAUTHORIZED]
    assert second.counts.alerts_sent == 1


async def test_a_service_asks_at_its_start_whose_token_it_has(house: House) -> None:
    """Nobody has to send anything first."""
    seen: list[Event] = []
    async with house.open(resumes=True, events=Events(seen.append)):
        for _ in range(400):
            if any(isinstance(event, BotOpened) for event in seen):
                break
            await house.clock.sleep(1)
    assert [event.user for event in seen if isinstance(event, BotOpened)] == ["risk_alerts"]


async def test_where_names_cannot_be_looked_up_slack_takes_them(house: House) -> None:
    """A token without channels:read posts all the same."""
    house.slack.behave(scopes=["chat:write"])
    async with house.open() as desk:
        assert (await desk.run(house.source(accounts(1)))).counts.alerts_sent == 1
    assert [(record.payload or {})["channel"] for record in house.slack.records()] == [AMER]


async def test_a_channel_may_be_given_by_its_id(house: House) -> None:
    """As Slack's own address bar shows it."""
    first = house.slack
    async with house.open() as desk:
        await desk.run(house.source(accounts(1)))
    (channel,) = {channel for channel, _ in places(house).values()}
    async with house.open(region_channels={"AMER": channel}) as desk:
        record = await desk.run(house.source(accounts(1), "two.parquet"), month="2026-01-01")
        assert record.counts.skipped_replay == 1
        other = await desk.run(house.source([account("n")], "three.parquet"))
    assert other.counts.alerts_sent == 1
    assert [account_of(each) for each in first.messages(AMER)] == ["a0000", "n"]


async def test_who_pressed_a_button_is_answered_through_slack_alone(house: House) -> None:
    """Never at another host, by another scheme or port, though a signed request named it."""
    async with house.open() as desk:
        bot = await desk.app.sender()
        assert isinstance(bot, Bot)
        own = house.slack.url
        host = own.removeprefix("http://")
        elsewhere = "https://evil.example/actions/1", f"https://{host}/actions/1", f"{own}.evil.example/1"
        for url in (*elsewhere, f"http://user@{host}/1", "http://127.0.0.1:9/1", "//x", "", "http://[", own):
            assert not await bot.answer(url, "no")
    assert house.slack.answers() == []


async def test_a_message_offers_what_can_still_be_done(house: House) -> None:
    """Acknowledge and Resolve, then Resolve, then nothing: the buttons change with the message."""
    house = replace(house, settings={**house.settings, "slack_signing_secret": "s" * 32, "summary": True})

    def offered() -> list[list[str]]:
        blocks = [each["blocks"][-1] for each in house.slack.messages(AMER)]
        return [[each["action_id"] for each in block.get("elements", ())] for block in blocks]

    async with house.open() as desk:
        await desk.run(house.source(accounts(1)))
        (alert,) = (await desk.app.store.alerts.list(AlertFilter(), limit=2)).items
        assert offered() == [["acknowledge", "resolve"]]
        for step, left in ((AlertStep.ACKNOWLEDGE, ["resolve"]), (AlertStep.RESOLVE, [])):
            await desk.app.store.alert_work.take(alert.alert_id, step, note=None, by="ann")
            await send_waiting(desk.app)
            # A summary, which nobody works on, has none.
            assert offered() == [left, []]
