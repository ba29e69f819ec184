"""Messages in Slack show what has become of their alerts, whoever changed them, and none is lost."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from mock_slack.script import Step
from mock_slack.web_api.conversations import channel_id
from service.api.schemas.managed_alert import ManagedAlertOut
from service.domain.delivery_status import Reason
from service.domain.errors import OvertakenError
from service.domain.identity.actor import Actor
from service.domain.identity.permission import Role
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import AlertStep, Severity
from service.domain.lifecycle.managed_alert import AlertFilter, ManagedAlert, NewAlert
from service.domain.tenant import DEFAULT_TENANT
from service.runs.doubts.reconcile import reconcile_all
from service.runs.waiting.keep_sending import keep_sending, send_waiting
from service.runs.waiting.kind import outbox_request
from service.runs.waiting.update_messages import backoff_s, update_messages, wanted_updates
from service.store.outbox.lane_turns import SharedLane
from service.store.outbox.message_updates import DueUpdate
from service.store.runs.state import Lease
from service.telemetry.delivery_events import LanePaused, MessageNotUpdated, MessageUpdated
from service.telemetry.events import Event, Events
from tests.support.clocks import START
from tests.support.house import AMER, Desk, House, with_bot
from tests.support.people import add_person, all_seeing
from tests.support.rows import account, accounts
from tests.support.waiting import until

UPDATE: Final = "chat.update"
ALL: Final = AlertFilter()
OTHER: Final = "11111111-1111-4111-8111-111111111111"
NEW: Final = NewAlert(rule_name="disk_full", message="db-1 is full", severity=Severity.HIGH, channel=AMER)
LANE: Final = SharedLane(key="lane", interval=0.0)


@pytest.fixture
def house(house: House) -> House:
    """Return a house with a bot."""
    return with_bot(house, slack_timeout_s=5)


def shown(house: House, channel: str = AMER) -> list[list[str]]:
    """Return the lines of each message of a channel, by its title."""
    return sorted(each["text"].splitlines() for each in house.slack.messages(channel))


def updates(house: House) -> int:
    """Return how often Slack was asked to change a message."""
    return house.slack.calls().get(UPDATE, 0)


def rows(house: House, columns: str = "status, error, tries") -> list[Any]:
    """Return what the ledger says of the messages that were to be changed."""
    with closing(sqlite3.connect(house.database)) as ledger:
        query = f"SELECT {columns} FROM message_updates ORDER BY occurrence_id"  # noqa: S608  # our own names
        return ledger.execute(query).fetchall()


def try_again(house: House) -> None:
    """Let the time pass that is waited between two tries."""
    house.pauses_over()
    with closing(sqlite3.connect(house.database)) as ledger, ledger:
        ledger.execute("UPDATE message_updates SET not_before = NULL")


async def alerts_of(desk: Desk) -> dict[str, ManagedAlert]:
    """Return the alerts that people work on, by account."""
    found = await desk.app.store.alerts.list(ALL, limit=100)
    return {str(each.subject): each for each in found.items}


async def take(desk: Desk, account_id: str, step: AlertStep, note: str | None = None) -> None:
    """Take a step as ann."""
    alert = (await alerts_of(desk))[account_id]
    await desk.app.store.alert_work.take(alert.alert_id, step, note=note, by="ann")


async def a_lease(desk: Desk) -> Lease:
    """Return the lease of an outbox run at work."""
    request = outbox_request(DEFAULT_TENANT)
    await desk.app.store.runs.begin("r1", request, started_at=desk.app.clock.now(), lease_s=3_000)
    lease = await desk.app.store.runs.acquire_lease("r1", request.scope, now=desk.app.clock.now())
    assert isinstance(lease, Lease)
    return lease


async def test_a_message_shows_what_people_do_about_its_alert(house: House) -> None:
    """One line says who and when, all else stays, and none of it counts as an alert that was sent."""
    seen: list[Event] = []
    async with house.open(events=Events(seen.append)) as desk:
        await desk.run(house.source(accounts(2)))
        before, (metadata, _) = shown(house), [each["metadata"] for each in house.slack.messages(AMER)]
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE, "calls them today")
        record = await send_waiting(desk.app)
        (title, line, *rest), other = shown(house)
        delivery = ManagedAlertOut.of((await alerts_of(desk))["a0000"]).occurrences[0].delivery
        assert (delivery.slack_channel, delivery.slack_ts) == (
            channel_id(AMER),
            house.slack.messages(AMER)[0]["ts"],
        )
        assert (delivery.slack_updated_at is not None, delivery.slack_update_error) == (True, None)
        assert line.startswith("👀 Acknowledged by ann at 20")
        assert line.endswith(" UTC: calls them today")
        assert [[title, *rest], other] == before
        assert house.slack.messages(AMER)[0]["metadata"] == metadata
        assert (record.counts.alerts, record.counts.alerts_sent) == (0, 0)
        assert await desk.app.store.outbox.undelivered() == {}
        await take(desk, "a0000", AlertStep.RESOLVE, "renewed")
        await send_waiting(desk.app)
        assert shown(house)[0][1].startswith("✅ Resolved by ann at 20")
        await take(desk, "a0000", AlertStep.REOPEN)
        await send_waiting(desk.app)
        assert shown(house) == before
        assert await desk.app.store.message_updates.tenants(wanted_updates(desk.app)) == []
        await send_waiting(desk.app)
    assert updates(house) == 3
    assert [each.status for each in seen if isinstance(each, MessageUpdated)] == [
        "acknowledged",
        "resolved",
        "triggered",
    ]
    assert rows(house) == [("shown", None, 0)]


async def test_a_person_is_shown_by_name(house: House) -> None:
    """Whoever has an account of the tenant; of another tenant's people there is the id alone."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(2)))
        own = await add_person(desk.app.store, "ann", Role.TENANT_ADMIN)
        other = await all_seeing(desk.app.store).access.tenants.create(name="other", code="other", now=START)
        foreign = await add_person(desk.app.store, "eve", Role.TENANT_ADMIN, tenant_id=other.id)
        found = await alerts_of(desk)
        for account_id, person in (("a0000", own), ("a0001", foreign)):
            alert_id, by = found[account_id].alert_id, f"user:{person.id}"
            await desk.app.store.alert_work.take(alert_id, AlertStep.RESOLVE, note=None, by=by)
        await send_waiting(desk.app)
        (_, first, *_), (_, second, *_) = shown(house)
    assert first.startswith("✅ Resolved by ann at 20")
    assert second.startswith(f"✅ Resolved by user:{foreign.id} at 20")


async def test_the_latest_state_goes_out_once(house: House) -> None:
    """An alert that changed twice before its message could is shown as it is now, and never as it was."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(1)))
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE)
        await take(desk, "a0000", AlertStep.RESOLVE)
        await send_waiting(desk.app)
    assert shown(house)[0][1].startswith("✅ Resolved by ann")
    assert updates(house) == 1


async def test_a_month_that_is_over_says_so_at_once(house: House) -> None:
    """A month of an earlier streak, run late: its first post is resolved, with nothing to be pressed."""
    months = {"2025-12-01": "At Risk", "2026-01-01": "Healthy", "2026-02-01": "At Risk"}
    source = house.source([account("a1", month=month, status=status) for month, status in months.items()])
    async with house.open(slack_signing_secret="s" * 16) as desk:
        await desk.run(source, month="2026-02-01")
        (ahead,) = (await desk.preview(source, month="2025-12-01")).alerts
        await desk.run(source, month="2025-12-01")
        await send_waiting(desk.app)
    newest, late = house.slack.messages(AMER)
    assert late["text"].splitlines()[1].startswith("✅ Resolved by the newest data at 20")
    assert ahead.message["text"].splitlines()[1] == "✅ Resolved by the newest data (recovered)"
    actions = ["actions" in {block["type"] for block in message["blocks"]} for message in (newest, late)]
    assert (actions, updates(house)) == ([True, False], 0)


async def test_a_late_month_says_who_has_its_alert(house: House) -> None:
    """A month between two others joins their alert, which somebody works on since the newer one."""
    months = ("2025-12-01", "2026-01-01")
    source = house.source([account("a1", month=month) for month in months])
    async with house.open() as desk:
        await desk.run(source, month=months[1])
        await take(desk, "a1", AlertStep.ACKNOWLEDGE)
        (ahead,) = (await desk.preview(source, month=months[0])).alerts
        await desk.run(source, month=months[0])
        first = house.slack.messages(AMER)[1]
        await take(desk, "a1", AlertStep.RESOLVE)
        await send_waiting(desk.app)
    assert first["text"].splitlines()[1].startswith("👀 Acknowledged by ann")
    assert first["text"] == ahead.message["text"]
    assert all(each["text"].splitlines()[1].startswith("✅") for each in house.slack.messages(AMER))


async def test_what_was_resolved_before_it_went_out_says_so(house: House) -> None:
    """What failed and goes with the next run, and what somebody created and resolved within the second."""
    house.slack.script(AMER, Step(body={"ok": False, "error": "is_archived"}))
    async with house.open() as desk:
        source = house.source(accounts(1))
        await desk.run(source)
        await take(desk, "a0000", AlertStep.RESOLVE)
        await desk.run(source)
        alert, _ = await desk.app.store.alert_work.create(NEW, by="ann")
        await desk.app.store.alert_work.take(alert.alert_id, AlertStep.RESOLVE, note=None, by="bob")
        record = await send_waiting(desk.app)
    posts = [each.payload for each in house.slack.records() if each.method == "chat.postMessage"]
    lines = [post["text"].splitlines()[1] for post in posts if post is not None]
    assert [line[: line.index(" at ")] for line in lines[1:]] == ["✅ Resolved by ann", "✅ Resolved by bob"]
    assert record.counts.alerts_sent == 1


async def test_every_month_leads_to_the_one_before_and_all_say_that_it_is_over(house: House) -> None:
    """Each month is a message of its own; the data of a third month, in which it is over, end them all."""
    months = ("2025-12-01", "2026-01-01", "2026-02-01")
    two = house.source([account("a1", month=month) for month in months[:2]])
    async with house.open() as desk:
        for month in months[:2]:
            await desk.run(two, month=month)
        december, january = house.slack.messages(AMER)
        url = f"https://mock.slack.com/archives/{channel_id(AMER)}/p{december['ts'].replace('.', '')}"
        assert "Message before this one" not in december["text"]
        assert january["text"].splitlines()[-1] == f"Message before this one (2025-12): {url}"
        link = january["blocks"][-1]["text"]["text"]
        assert link == f"<{url}|Message before this one (2025-12)>"
        over = [account("a1", month=month) for month in months[:2]]
        house.source([*over, account("a1", month=months[2], status="Healthy")])
        await desk.run(two, month=months[2])
        await send_waiting(desk.app)
    for line in (each["text"].splitlines()[1] for each in house.slack.messages(AMER)):
        assert line.startswith("✅ Resolved by the newest data at 20")
        assert line.endswith(" UTC (recovered)")
    assert house.slack.messages(AMER)[1]["blocks"][-1]["text"]["text"] == link
    assert updates(house) == 2


async def test_restated_values_are_shown_and_taken_back(house: House) -> None:
    """A replay that finds another ARR changes the message, once; data of another source change nothing."""
    source = house.source([account("a1", arr=100_000), account("a2")])
    async with house.open() as desk:
        await desk.run(source)
        before = shown(house)
        other = house.source([account("a1", arr=7), account("a2")], name="other.parquet")
        await desk.run(other)
        house.source([account("a1", arr=120_000), account("a2")])
        for _ in range(2):
            await desk.run(source)
            await send_waiting(desk.app)
        assert [line for line in shown(house)[0] if "restated" in line] == [
            "ARR: $120,000 (restated, was $100,000)"
        ]
        assert updates(house) == 1
        house.source([account("a1", arr=100_000), account("a2")])
        await desk.run(source)
        await send_waiting(desk.app)
    assert shown(house) == before
    assert updates(house) == 2


async def test_nothing_is_changed_before_it_was_sent(house: House) -> None:
    """An alert that was acknowledged while its post was in doubt shows so once the message is found."""
    house.slack.script(AMER, Step(drop="after"))
    async with house.open(reconcile_for_s=0) as desk:
        await desk.run(house.source(accounts(1)))
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE)
        await send_waiting(desk.app)
        assert (updates(house), rows(house)) == (0, [("due", None, 0)])
    async with house.open() as desk:
        await reconcile_all(desk.app)
        await send_waiting(desk.app)
    assert shown(house)[0][1].startswith("👀 Acknowledged by ann")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("message_not_found", "not_found"),
        ("cant_update_message", "forbidden"),
        ("edit_window_closed", "forbidden"),
        ("something_new", "rejected"),
    ],
)
async def test_what_slack_will_never_change_is_recorded_and_blocks_nobody(
    house: House, word: str, reason: str
) -> None:
    """The alert is what it is, its reason stands with it, and the next message is changed."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(2)))
        house.slack.script(AMER, Step(body={"ok": False, "error": word}))
        for which in ("a0000", "a0001"):
            await take(desk, which, AlertStep.ACKNOWLEDGE)
        await send_waiting(desk.app)
        await send_waiting(desk.app)
        (occurrence,) = (found := (await alerts_of(desk))["a0000"]).occurrences
        assert (found.status, occurrence.slack_update_error) == ("acknowledged", reason)
    assert sorted(rows(house)) == [("failed", reason, 0), ("shown", None, 0)]
    assert [message[0] for message in rows(house, "error_message") if message[0]] == [f"Slack said {word}"]


@pytest.mark.parametrize(
    "step",
    [
        Step(status=429, headers={"Retry-After": "9000"}),
        Step(body={"ok": False, "error": "ratelimited"}, headers={"Retry-After": "9000"}),
    ],
)
async def test_a_pause_holds_every_change_and_no_post(house: House, step: Step) -> None:
    """Slack counts the calls of a method over all channels, and those of another one by themselves."""
    seen: list[Event] = []
    source = house.source([*accounts(2), account("e1", account_region="EMEA")])
    async with house.open(events=Events(seen.append)) as desk:
        await desk.run(source)
        house.slack.script(AMER, step)
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE)
        await send_waiting(desk.app)
        assert [each.channel for each in seen if isinstance(each, LanePaused)] == [UPDATE]
        for which in ("a0001", "e1"):
            await take(desk, which, AlertStep.ACKNOWLEDGE)
        await desk.app.store.alert_work.create(NEW, by="ann")
        record = await send_waiting(desk.app)
        assert (record.counts.alerts_sent, len(house.slack.messages(AMER))) == (1, 3)
        assert sorted(map(str, rows(house))) == ["('due', 'rate_limited', 1)", *["('due', None, 0)"] * 2]
        assert await desk.app.store.message_updates.tenants(wanted_updates(desk.app)) == []
        assert (updates(house), house.lanes_paused()) == (0, 1)
        try_again(house)
        await send_waiting(desk.app)
    assert rows(house, "status") == [("shown",)] * 3
    (missed,) = [each for each in seen if isinstance(each, MessageNotUpdated)]
    assert (missed.reason, missed.wait_s) == ("rate_limited", 9000)


async def test_a_pause_of_the_channel_is_waited_out_without_runs(house: House) -> None:
    """A post that Slack puts off holds the changes of its channel, and no run looks before it is over."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(2)))
        house.slack.script(AMER, Step(status=429, headers={"Retry-After": "9000"}))
        await desk.app.store.alert_work.create(NEW, by="ann")
        await send_waiting(desk.app)
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE)
        seen = desk.app.store.message_updates
        assert await seen.tenants(wanted_updates(desk.app)) == [DEFAULT_TENANT]
        await send_waiting(desk.app)
        assert await seen.tenants(wanted_updates(desk.app)) == []
        later = replace(wanted_updates(desk.app), now=desk.app.clock.now() + timedelta(seconds=9001))
        assert await seen.tenants(later) == [DEFAULT_TENANT]
    assert updates(house) == 0


@pytest.mark.parametrize(
    "step",
    [
        Step(drop="after"),
        Step(drop="before"),
        Step(status=503),
        Step(body={"ok": False, "error": "token_revoked"}),
    ],
)
async def test_what_may_work_later_is_tried_again(house: House, step: Step) -> None:
    """A lost answer, an outage or a token that is being replaced: the same change is made once more."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(2)))
        house.slack.script(AMER, step)
        for which in ("a0000", "a0001"):
            await take(desk, which, AlertStep.ACKNOWLEDGE)
        await send_waiting(desk.app)
        assert sorted(rows(house, "status, tries")) == [("due", 0), ("due", 1)]
        try_again(house)
        await send_waiting(desk.app)
    assert rows(house, "status, error") == [("shown", None)] * 2
    assert all(lines[1].startswith("👀") for lines in shown(house))


async def test_without_a_bot_nothing_is_changed(house: House) -> None:
    """A webhook's message has no place in Slack that anybody knows."""
    async with house.open(
        slack_bot_token=None, marker_key=None, slack_webhook_base_url=house.slack.webhook_base_url
    ) as desk:
        await desk.run(house.source(accounts(1)))
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE)
        await send_waiting(desk.app)
    assert (updates(house), rows(house)) == (0, [])


async def test_serve_changes_messages_by_itself(house: House) -> None:
    """What somebody created is marked as what a run found is, and so is another tenant's."""
    async with house.open() as desk:
        other = desk.app.store.seen_by(Actor.system(OTHER), Scope.of_system(OTHER))
        task = asyncio.create_task(keep_sending(desk.app))
        created = [await store.alert_work.create(NEW, by="ann") for store in (desk.app.store, other)]
        await until(lambda: len(house.slack.messages(AMER)) == 2)
        for store, (alert, _) in zip((desk.app.store, other), created, strict=True):
            await store.alert_work.take(alert.alert_id, AlertStep.RESOLVE, note=None, by="bob")
        await until(lambda: rows(house, "status") == [("shown",)] * 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert all(lines[1].startswith("✅ Resolved by bob") for lines in shown(house))


async def test_a_change_under_way_is_not_mistaken_for_a_later_one(house: House) -> None:
    """What changes while Slack is asked is shown by the next try."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(1)))
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE)
        store, lease = desk.app.store.message_updates, await a_lease(desk)
        due = await store.take(lease, AMER, wanted_updates(desk.app), lane=LANE, lease_s=30)
        assert isinstance(due, DueUpdate)
        await take(desk, "a0000", AlertStep.RESOLVE)
        await store.shown(due, now=desk.app.clock.now())
        await store.failed(due, Reason.FORBIDDEN, "late", now=desk.app.clock.now())
        assert rows(house) == [("due", None, 0)]
        await update_messages(desk.app, lease)
        assert shown(house)[0][1].startswith("✅ Resolved by ann")


async def test_a_run_that_was_overtaken_changes_nothing(house: House) -> None:
    """Whoever has lost the lease might put an older state over a newer one."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(1)))
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE)
        lost = replace(await a_lease(desk), epoch=99)
        with pytest.raises(OvertakenError):
            await update_messages(desk.app, lost)
    assert updates(house) == 0


async def test_what_is_too_old_is_left_as_it_is(house: House) -> None:
    """RESUME_WITHIN_H bounds how long a message is tried; a new change begins anew."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(1)))
        await take(desk, "a0000", AlertStep.ACKNOWLEDGE)
        with closing(sqlite3.connect(house.database)) as ledger, ledger:
            ledger.execute("UPDATE message_updates SET changed_at = '2020-01-01 00:00:00.000000'")
            ledger.execute("UPDATE outbox SET sent_at = '2020-01-01 00:00:00.000000'")
        await send_waiting(desk.app)
        assert updates(house) == 0
        await take(desk, "a0000", AlertStep.RESOLVE)
        await send_waiting(desk.app)
    assert updates(house) == 1


def test_the_pause_between_two_tries_grows_to_a_quarter_of_an_hour() -> None:
    """2, 4, 8, … seconds, a quarter longer at most."""
    assert [backoff_s(tries, jitter=0) for tries in (0, 1, 2, 50)] == [2, 4, 8, 900]
    assert backoff_s(0, jitter=1) == 2.5


async def test_whom_slack_alone_can_name_is_mentioned_by_a_change(house: House) -> None:
    """Next month's message leaves out who it was, which would notify them, and is changed to say so."""
    source = house.source([account("a1", month=month) for month in ("2025-12-01", "2026-01-01")])
    async with house.open() as desk:
        await desk.run(source, month="2025-12-01")
        alert = (await alerts_of(desk))["a1"]
        work = desk.app.store.alert_work
        await work.take(alert.alert_id, AlertStep.ACKNOWLEDGE, note=None, by="slack:U0ANN")
        await desk.run(source, month="2026-01-01")
        posted = house.slack.messages(AMER)[1]["text"].splitlines()[1]
        await send_waiting(desk.app)
    assert posted.startswith("👀 Acknowledged by somebody in Slack at 20")
    for message in house.slack.messages(AMER):
        assert message["text"].splitlines()[1].startswith("👀 Acknowledged by <@U0ANN> at 20")
    assert updates(house) == 2


async def test_next_months_message_names_the_person_too(house: House) -> None:
    """Who has taken the alert stands there from the start, and nothing is to be changed."""
    source = house.source([account("a1", month=month) for month in ("2025-12-01", "2026-01-01")])
    async with house.open() as desk:
        await desk.run(source, month="2025-12-01")
        ann = await add_person(desk.app.store, "ann", Role.TENANT_ADMIN)
        alert = (await alerts_of(desk))["a1"]
        work = desk.app.store.alert_work
        await work.take(alert.alert_id, AlertStep.ACKNOWLEDGE, note=None, by=f"user:{ann.id}")
        await send_waiting(desk.app)
        await desk.run(source, month="2026-01-01")
        await send_waiting(desk.app)
    for message in house.slack.messages(AMER):
        assert message["text"].splitlines()[1].startswith("👀 Acknowledged by ann at 20")
    assert updates(house) == 1
