"""Doubts settled from evidence: what a bot finds was sent, what it does not find never arrived."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from mock_slack.script import Step
from mock_slack.web_api.behaviour import SCOPES
from mock_slack.web_api.conversations import channel_id
from service.delivery.slack.marker import Marker, Markers
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason, SettleAs
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.managed_alert import NewAlert
from service.domain.run import Action, RunAlert
from service.runs import interventions
from service.runs.doubts.reconcile import reconcile_all
from service.runs.waiting.keep_sending import send_waiting
from service.telemetry.delivery_events import DoubtsReconciled
from service.telemetry.events import Event, Events
from tests.support.house import AMER, EMEA, MARKER_KEY, Desk, House, account_of, with_bot
from tests.support.processes import ASKING
from tests.support.rows import accounts

LOST = Step(drop="after")
"""Slack has the message, and its answer is lost."""
NEVER = Step(drop="before")
"""The connection breaks before Slack has it, which looks just the same from here."""
LAGGING = Step(body={"ok": True, "messages": [], "has_more": False})
"""A history that has not caught up yet."""
BLIND = SCOPES - {"channels:history"}


@pytest.fixture
def house(house: House) -> House:
    """Return a house whose bot waits a short while for the history, by a clock that hurries."""
    return with_bot(house, slack_timeout_s=5, reconcile_after_s=3)


def posted(house: House, channel: str = AMER) -> list[str]:
    """Return the accounts whose messages stand in a channel, in order."""
    return [account_of(each) for each in house.slack.messages(channel)]


def asked(house: House, method: str = "conversations.history") -> int:
    """Return how often Slack was asked."""
    return house.slack.calls().get(method, 0)


def sql(house: House, query: str) -> list[Any]:
    """Ask the ledger."""
    with closing(sqlite3.connect(house.database)) as ledger:
        return ledger.execute(query).fetchall()


async def only(desk: Desk, source: str, **details: Any) -> RunAlert:
    """Run a month of one alert and return what became of it."""
    (alert,) = await desk.alerts(await desk.run(source, **details))
    return alert


async def test_a_lost_answer_is_found_in_the_channel(house: House) -> None:
    """It is sent, not in doubt and not sent again; the record says who found it, and where."""
    house.slack.script(AMER, LOST)
    seen: list[Event] = []
    async with house.open(events=Events(seen.append)) as desk:
        record = await desk.run(house.source(accounts(3)))
    (occurrence,) = sql(house, "SELECT slack_channel, slack_ts FROM outbox WHERE subject = 'a0000'")
    assert (record.counts.alerts_sent, record.counts.unknown) == (3, 0)
    assert posted(house) == ["a0000", "a0001", "a0002"]
    assert occurrence == (channel_id(AMER), house.slack.messages(AMER)[0]["ts"])
    ((settled_by, settled_as, note),) = sql(
        house, "SELECT settled_by, settled_as, note FROM doubt_settlements"
    )
    assert (settled_by, settled_as, note) == (
        "reconciler",
        "sent",
        f"found in {occurrence[0]} at {occurrence[1]}",
    )
    (event,) = [each for each in seen if isinstance(each, DoubtsReconciled)]
    assert (event.found, event.resend, event.held, event.unread) == (1, 0, 0, 0)
    assert event.run_id == record.run_id
    assert asked(house) == 1


async def test_without_a_doubt_nobody_asks(house: House) -> None:
    """A month that goes well costs no call of Slack's history."""
    async with house.open() as desk:
        await desk.run(house.source(accounts(3)))
    assert asked(house) == 0


async def test_what_never_arrived_is_held_with_its_evidence(house: House) -> None:
    """Looked for twice, the second time after the wait; a person decides, and nobody looks again."""
    house.slack.script(AMER, NEVER)
    source = house.source(accounts(1))
    async with house.open() as desk:
        began = house.clock.monotonic()
        alert = await only(desk, source)
        assert house.clock.monotonic() - began >= 5 + 3
        assert (alert.outcome, alert.reason) == (Outcome.UNKNOWN, Reason.RESPONSE_LOST)
        assert (alert.error_message or "").startswith("not in the channel's history at 20")
        assert asked(house) == 2
        assert (await desk.run(source)).counts.unknown == 1
        assert (await reconcile_all(desk.app)).answer() == dict.fromkeys(
            ("found", "resend", "held", "unread"), 0
        )
    assert asked(house) == 2
    assert posted(house) == []


async def test_what_never_arrived_is_sent_in_the_same_run_where_that_is_the_policy(house: House) -> None:
    """AMBIGUOUS_SENDS=resend claims it again, once it is certain enough."""
    house.slack.script(AMER, NEVER, LOST)
    async with house.open(ambiguous_sends="resend") as desk:
        record = await desk.run(house.source(accounts(3)))
    assert (record.counts.alerts_sent, record.counts.unknown) == (3, 0)
    assert sorted(posted(house)) == ["a0000", "a0001", "a0002"]
    assert sorted(sql(house, "SELECT settled_as, settled_by FROM doubt_settlements")) == [
        ("resend", "reconciler"),
        ("sent", "reconciler"),
    ]


async def test_what_lags_longer_than_the_wait_is_sent_twice(house: House) -> None:
    """The risk that is left with `resend`, counted: one duplicate for each lost answer."""
    house.slack.behave(history_lag_s=10_000)
    house.slack.script(AMER, LOST)
    async with house.open(ambiguous_sends="resend") as desk:
        record = await desk.run(house.source(accounts(2)))
    assert record.counts.alerts_sent == 2
    assert sorted(posted(house)) == ["a0000", "a0000", "a0001"]


async def test_what_lags_less_than_the_wait_is_found_at_the_second_look(house: House) -> None:
    """Under either policy nothing is sent twice."""
    house.slack.script("conversations.history", LAGGING)
    house.slack.script(AMER, LOST)
    async with house.open(ambiguous_sends="resend") as desk:
        assert (await desk.run(house.source(accounts(2)))).counts.alerts_sent == 2
    assert posted(house) == ["a0000", "a0001"]
    assert asked(house) == 1, "the first look was the scripted one"


async def test_a_history_that_cannot_be_read_settles_nothing_and_says_why(house: House) -> None:
    """The doubt stays, with the scope that is missing; once the bot has it, the doubt is settled."""
    house.slack.behave(scopes=BLIND)
    house.slack.script(AMER, LOST)
    async with house.open(ambiguous_sends="resend") as desk:
        alert = await only(desk, house.source(accounts(1)))
        assert alert.outcome is Outcome.UNKNOWN
        why = "the history could not be read: missing_scope (channels:history)"
        assert alert.error_message == why
        reconciler = await reconcile_all(desk.app)
        assert (reconciler.answer()["unread"], reconciler.unreadable) == (1, {AMER: why})
        house.slack.behave()
        assert (await reconcile_all(desk.app)).answer()["found"] == 1
    assert sql(house, "SELECT status FROM outbox") == [("sent",)]
    assert posted(house) == ["a0000"]


@pytest.mark.parametrize("said", [{}, {"messages": 5}, {"messages": {}, "response_metadata": []}])
async def test_an_answer_without_messages_is_no_history(house: House, said: dict[str, Any]) -> None:
    """It proves nothing: with `resend` the message would be there twice."""
    house.slack.script("conversations.history", Step(body={"ok": True, **said}))
    house.slack.script(AMER, LOST)
    async with house.open(ambiguous_sends="resend") as desk:
        alert = await only(desk, house.source(accounts(1)))
        assert alert.outcome is Outcome.UNKNOWN
        assert alert.error_message == "the history could not be read: no_messages"
    assert posted(house) == ["a0000"]


async def test_a_bot_without_an_id_knows_no_message_of_its_own(house: House) -> None:
    """It would find none of them, and send all again; once Slack says whose token it is, they are found."""
    house.slack.script("auth.test", Step(body={"ok": True, "team_id": "T0MOCK"}, times=2))
    house.slack.script(AMER, LOST)
    async with house.open(ambiguous_sends="resend") as desk:
        alert = await only(desk, house.source(accounts(1)))
        assert alert.error_message == "the history could not be read: no_bot_id"
        assert (await reconcile_all(desk.app)).answer()["found"] == 1
    assert posted(house) == ["a0000"]


async def test_one_channel_that_cannot_be_read_does_not_stop_the_others(house: House) -> None:
    """Each is read once, whatever the number of its doubts."""
    house.slack.script(AMER, LOST)
    house.slack.script(EMEA, Step(drop="after", times=2))
    house.slack.script("conversations.history", Step(body={"ok": False, "error": "not_in_channel"}))
    rows = [*accounts(1), *accounts(2, region="EMEA", prefix="e")]
    async with house.open() as desk:
        record = await desk.run(house.source(rows))
    # Either may be asked first, and so be the one that cannot be read.
    assert (record.counts.unknown, record.counts.alerts_sent) in {(1, 2), (2, 1)}
    assert asked(house) == 1, "a call that is scripted never gets to the method"


async def test_where_time_is_up_the_rest_is_left_for_the_sweep(house: House) -> None:
    """A run looks for RECONCILE_FOR_S at most; `serve` goes on with what it left."""
    house.slack.script("conversations.history", LAGGING)
    house.slack.script(AMER, LOST)
    async with house.open(reconcile_for_s=1) as desk:
        alert = await only(desk, house.source(accounts(1)))
        assert alert.outcome is Outcome.UNKNOWN
        assert (alert.error_message or "").endswith("and not looked for again yet")
    async with house.open(resumes=True):
        for _ in range(400):
            if sql(house, "SELECT status FROM outbox") == [("sent",)]:
                break
            await house.clock.sleep(1)
    assert sql(house, "SELECT status, settled_by FROM outbox, doubt_settlements") == [("sent", "reconciler")]
    assert posted(house) == ["a0000"]


async def test_a_slow_slack_does_not_hold_a_run_for_each_channel(house: House) -> None:
    """RECONCILE_FOR_S is for all channels: another is not looked into once one has taken so long."""
    for channel in (AMER, EMEA):
        house.slack.script(channel, LOST)
    house.slack.script("conversations.history", Step(delay_s=60), Step(delay_s=60))
    rows = [*accounts(1), *accounts(1, region="EMEA", prefix="e")]
    async with house.open(reconcile_for_s=1, slack_timeout_s=1) as desk:
        alerts = await desk.alerts(await desk.run(house.source(rows)))
    assert {alert.outcome for alert in alerts} == {Outcome.UNKNOWN}
    assert sorted(alert.error_message or "" for alert in alerts) == [
        "not looked for yet: no time was left",
        "the history could not be read: no_answer (TimeoutError)",
    ]


async def test_a_channel_that_is_new_since_the_start_is_looked_into(house: House) -> None:
    """It was made, or the bot invited, after the names were looked up: they are looked up once more."""
    others = {"ok": True, "channels": [{"id": "C1", "name": "other"}]}
    house.slack.script("conversations.list", Step(body=others, times=2))
    house.slack.script(AMER, LOST)
    async with house.open() as desk:
        assert (await only(desk, house.source(accounts(1)))).outcome is Outcome.SENT
    assert posted(house) == ["a0000"]


async def test_a_later_run_looks_before_it_sends_a_doubt_again(house: House) -> None:
    """What nobody could look for is no more certain later: with `resend`, too, it is found or it stays."""
    house.slack.behave(scopes=BLIND)
    house.slack.script(AMER, LOST)
    source = house.source(accounts(1))
    async with house.open(ambiguous_sends="resend") as desk:
        for _ in range(2):
            assert (await only(desk, source)).outcome is Outcome.UNKNOWN
            ((why,),) = sql(house, "SELECT error_message FROM outbox")
            assert why == "the history could not be read: missing_scope (channels:history)"
        house.slack.behave()
        assert (await only(desk, source)).outcome is Outcome.SKIPPED_REPLAY
    assert posted(house) == ["a0000"]


async def test_what_is_created_does_not_wait_for_a_doubt(house: House) -> None:
    """Nor is the doubt sent again with it, under either policy: the sweep looks for it."""
    house.slack.behave(scopes=BLIND)
    house.slack.script(AMER, LOST)
    async with house.open(ambiguous_sends="resend") as desk:
        for name in ("first", "second"):
            new = NewAlert(rule_name=name, message=name, severity=Severity.HIGH, channel=AMER)
            await desk.app.store.alert_work.create(new, by="ann")
            await send_waiting(desk.app)
        assert (len(house.slack.messages(AMER)), asked(house)) == (2, 1)
        house.slack.behave()
        assert (await reconcile_all(desk.app)).answer()["found"] == 1
    assert sql(house, "SELECT DISTINCT status FROM outbox") == [("sent",)]


async def test_what_was_held_is_looked_for_again_once_it_may_be_sent(house: House) -> None:
    """AMBIGUOUS_SENDS was `hold`, and is `resend` now: the next run sends what is in no history."""
    source = house.source(accounts(1))
    house.slack.script(AMER, NEVER)
    async with house.open() as desk:
        assert (await only(desk, source)).outcome is Outcome.UNKNOWN
        (shown,) = (await desk.preview(source)).alerts
        assert shown.action is Action.HOLD
    async with house.open(ambiguous_sends="resend") as desk:
        assert (await only(desk, source)).outcome is Outcome.SENT
    assert (posted(house), asked(house)) == (["a0000"], 4)


async def left_in_doubt(house: House, step: Step) -> str:
    """Leave one alert in doubt that nobody has looked for, and return its id."""
    house.slack.script(AMER, step)
    async with house.open(reconcile_for_s=0) as desk:
        return (await only(desk, house.source(accounts(1)))).alert.alert_id


async def test_two_instances_at_once_settle_once(house: House) -> None:
    """Whoever comes first; the other finds nothing left to do."""
    await left_in_doubt(house, LOST)
    async with house.open() as one, house.open() as other:
        both = await asyncio.gather(reconcile_all(one.app), reconcile_all(other.app))
    assert sum(each.answer()["found"] for each in both) == 1
    assert sql(house, "SELECT settled_by FROM doubt_settlements") == [("reconciler",)]


@pytest.mark.parametrize(
    "marker",
    [
        lambda alert_id: Markers("another key of 16").metadata(Marker(alert_id, 1)),
        lambda alert_id: Markers(MARKER_KEY).metadata(Marker(alert_id, 2)),
        lambda alert_id: {"event_type": "risk_alert", "event_payload": {"marker": f"{alert_id}.1."}},
    ],
    ids=["another key", "a claim that was never made", "unsigned"],
)
async def test_nobody_elses_message_is_taken_for_ours(
    house: House, marker: Callable[[str], dict[str, Any]]
) -> None:
    """A message about the alert without our own marker of that claim proves nothing."""
    alert_id = await left_in_doubt(house, NEVER)
    body = {"channel": AMER, "text": "forged (a0000)", "metadata": marker(alert_id)}
    headers = {"Authorization": "Bearer x"}
    assert ASKING.post(f"{house.slack.api_url}/chat.postMessage", json=body, headers=headers).json()["ok"]
    async with house.open() as desk:
        assert (await reconcile_all(desk.app)).answer()["held"] == 1


async def test_what_a_person_wants_sent_again_is_not_settled_by_what_stood_there_before(house: House) -> None:
    """Only claims after the last one that somebody decided about count as evidence."""
    alert_id = await left_in_doubt(house, LOST)
    async with house.open() as desk:
        await interventions.settle_alert(desk.app, alert_id, SettleAs.RESEND, by="ann", note=None)
        house.slack.script(AMER, NEVER)
        alert = await only(desk, house.source(accounts(1)))
    assert alert.outcome is Outcome.UNKNOWN
    assert posted(house) == ["a0000"]


async def test_a_person_who_was_faster_is_not_overruled(house: House) -> None:
    """A doubt that was settled while the history was read stays as it was settled."""
    alert_id = await left_in_doubt(house, LOST)
    async with house.open() as desk:
        (doubt,) = await desk.app.store.reconciling.in_doubt(None)
        await interventions.settle_alert(desk.app, alert_id, SettleAs.RESEND, by="ann", note=None)
        reconciling = desk.app.store.reconciling
        now = house.clock.now()
        assert await reconciling.decide(doubt, SettleAs.SENT, note="found", now=now) is None
        assert not await reconciling.note(doubt, "held", is_final=True, now=now)
        standings = await desk.app.store.recording.standings("risk_alert:2026-01-01", "file:///x")
    assert [each.status for each in standings.values()] == [DeliveryStatus.PENDING]


async def test_a_5xx_that_posted_is_found_before_the_retry(house: House) -> None:
    """Slack answered 503, and had the message: it is not sent again."""
    house.slack.script(AMER, Step(status=503, posted=True))
    async with house.open() as desk:
        assert (await only(desk, house.source(accounts(1)))).outcome is Outcome.SENT
    assert (posted(house), asked(house)) == (["a0000"], 1)
    assert sql(house, "SELECT slack_ts FROM outbox") == [(house.slack.messages(AMER)[0]["ts"],)]


async def test_a_5xx_that_did_not_post_is_retried(house: House) -> None:
    """One look for each retry, and the message goes out once."""
    house.slack.script(AMER, Step(status=503, times=2))
    async with house.open() as desk:
        assert (await only(desk, house.source(accounts(1)))).outcome is Outcome.SENT
    assert (posted(house), asked(house)) == (["a0000"], 2)


async def test_a_5xx_where_nobody_can_look_is_a_doubt(house: House) -> None:
    """It is not posted again blindly, and says what is missing."""
    house.slack.behave(scopes=BLIND)
    house.slack.script(AMER, Step(status=503, posted=True))
    async with house.open() as desk:
        alert = await only(desk, house.source(accounts(1)))
    assert alert.outcome is Outcome.UNKNOWN
    assert "missing_scope (channels:history)" in (alert.error_message or "")
    assert posted(house) == ["a0000"]


async def test_a_5xx_that_never_ends_is_a_doubt_and_looked_for(house: House) -> None:
    """Its retries are used up, and the last one had arrived."""
    house.slack.script(AMER, Step(status=503), Step(status=503, posted=True))
    async with house.open(slack_max_retries=1) as desk:
        assert (await only(desk, house.source(accounts(1)))).outcome is Outcome.SENT
    assert posted(house) == ["a0000"]


async def test_an_app_that_slack_restricts_is_slow_but_gets_there(house: House) -> None:
    """Fifteen messages a page and one call a minute: two pages, and the pause in between is waited out."""
    house.slack.behave(history_page=15, calls_per_minute={"conversations.history": 1})
    house.slack.script(AMER, LOST)
    async with house.open() as desk:
        began = house.clock.monotonic()
        record = await desk.run(house.source(accounts(20)))
        took = house.clock.monotonic() - began
    assert (record.counts.alerts_sent, record.counts.unknown) == (20, 0)
    assert took >= 60
    assert len(posted(house)) == 20
