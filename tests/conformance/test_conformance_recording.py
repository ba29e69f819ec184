"""Recording: what a new evaluation does to what earlier runs left behind."""

import base64
import dataclasses
import hashlib
from datetime import date

import pytest

from service.account_risk.account_at_risk import AccountAtRisk
from service.account_risk.folding.candidates import TEXT_BYTES
from service.account_risk.folding.row_validation import ID_BYTES
from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.errors import DatabaseUnusableError
from service.domain.month import Month
from service.domain.run import Action, RunError
from tests.support.alerts import MONTH, an_alert
from tests.support.given import SOURCE, Given, an_evaluation, routed, scope_of, the_answer

LARGEST = 2**63 - 1
RANDOM = base64.b85encode(hashlib.shake_256(b"any").digest(TEXT_BYTES * 4 // 5)).decode()

ODD_ALERTS = [
    an_alert("largest", arr=LARGEST),
    an_alert("smallest", arr=-LARGEST - 1),
    an_alert("nothing known", account_region=None, arr=None, renewal_date=None, account_owner=None),
    an_alert("first day", renewal_date=date.min, risk_start_month=Month.parse("0001-01-01")),
    an_alert("last day", renewal_date=date.max, risk_start_month=Month.parse("9999-12-01")),
    an_alert("long streak", duration_months=120, duration_is_minimum=True),
    an_alert("text", account_name="Zoë 🚩 \u202e<!channel>\n\ufffd", account_owner="o'Neil; DROP"),
    an_alert("a/b?c=..%00\\", account_name="n" * 65_536),
    an_alert("", account_name="", account_region="", account_owner=""),
    # As long as an evaluation lets them be; no database can make them shorter.
    an_alert(RANDOM[:ID_BYTES], account_name=RANDOM, account_region=RANDOM[::-1], account_owner=RANDOM),
]


async def _left_behind(given: Given, *, status: DeliveryStatus, reason: Reason | None = None) -> None:
    """Leave account `a` behind in a state, by a run that has finished."""
    lease, (entry,) = await given.a_recorded("r1", routed(an_alert("a", arr=1)))
    if status is not DeliveryStatus.PENDING:
        await given.claimed(lease, [entry])
        await given.settled(lease, the_answer(entry, status, reason=reason))
    await given.finished("r1", alerts=1)


@pytest.mark.parametrize("alert", ODD_ALERTS, ids=lambda alert: alert.subject[:12])
async def test_every_fact_comes_back_as_it_was(given: Given, alert: AccountAtRisk) -> None:
    """What a run saw is given back exactly, to the ends of every type."""
    lease = await given.a_lease("r1")
    items = routed(alert)
    await given.recorded(lease, items)
    (found,) = (await given.outcomes("r1")).values()
    assert AccountAtRisk.of(found.alert) == alert
    assert found.alert.facts == alert.facts
    (entry,) = await given.pending(lease)
    assert (entry.alert_id, entry.subject) == (items[0].alert.alert_id, items[0].alert.subject)
    assert entry.payload == items[0].payload


async def test_alerts_go_out_in_the_order_in_which_they_were_recorded(given: Given) -> None:
    """Each channel's alerts are handed out by position, a page at a time."""
    lease = await given.a_lease("r1")
    mixed = [
        item
        for number in range(7)
        for item in routed(f"a{number}", channel="amer") + routed(f"e{number}", channel="emea")
    ]
    await given.recorded(lease, mixed)
    assert [entry.subject for entry in await given.pending(lease)] == [item.alert.subject for item in mixed]
    seen: list[str] = []
    after = -1
    while page := await given.store.outbox.pending(lease, ["emea"], after=after, limit=3):
        seen += [entry.subject for entry in page]
        after = page[-1].position
    assert seen == [f"e{number}" for number in range(7)]


async def test_an_alert_has_one_id_and_one_row_for_ever(given: Given) -> None:
    """Later runs find the row of the first one, whatever became of the alert's facts."""
    await _left_behind(given, status=DeliveryStatus.PENDING)
    before = await given.row_of("a")
    await given.recorded(await given.a_lease("r2"), routed(an_alert("a", account_name="New", arr=2)))
    after = await given.row_of("a")
    assert (before["id"], after["id"]) == (an_alert("a").alert_id, an_alert("a").alert_id)
    assert after["created_at"] == before["created_at"]


@pytest.mark.parametrize(
    ("status", "reason"), [(DeliveryStatus.PENDING, None), (DeliveryStatus.FAILED, Reason.NOT_FOUND)]
)
async def test_what_has_not_arrived_goes_out_as_the_newest_evaluation_has_it(
    given: Given, status: DeliveryStatus, reason: Reason | None
) -> None:
    """What is pending or failed takes on new facts, channel, message and place, and forgets its error."""
    await _left_behind(given, status=status, reason=reason)
    lease = await given.a_lease("r2")
    newer = an_alert("a", arr=2, account_region="EMEA", account_name="New")
    actions = await given.recorded(lease, routed("b") + routed(newer, channel="emea"))
    assert [taken.action for taken in actions] == [Action.SEND, Action.SEND]
    row = await given.row_of("a")
    assert (row["run_id"], row["status"], row["channel"], row["position"]) == ("r2", "pending", "emea", 1)
    assert row["facts"] == newer.facts
    assert row["payload"] == '{"text":"2"}'
    assert (row["error"], row["error_message"], row["http_status"]) == (None, None, None)


@pytest.mark.parametrize(
    ("status", "action"),
    [(DeliveryStatus.SENT, Action.SKIP_REPLAY), (DeliveryStatus.UNKNOWN, Action.HOLD)],
)
async def test_what_has_or_may_have_arrived_keeps_what_it_was_sent_with(
    given: Given, status: DeliveryStatus, action: Action
) -> None:
    """A sent or held alert keeps its row to the letter; the run's own rows show the newer facts."""
    await _left_behind(given, status=status)
    before = await given.row_of("a")
    lease = await given.a_lease("r2")
    (taken,) = await given.recorded(lease, routed(an_alert("a", arr=2), channel="emea"))
    assert taken.action is action
    assert await given.row_of("a") == before
    assert await given.pending(lease) == []
    outcome = (await given.outcomes("r2"))["a"]
    assert (outcome.outcome, outcome.alert.facts["arr"]) == (
        "skipped_replay" if action is Action.SKIP_REPLAY else "unknown",
        2,
    )


async def test_what_is_in_doubt_is_sent_again_where_that_is_wanted(given: Given) -> None:
    """Under `resend` an alert in doubt becomes pending with the newest facts, and keeps counting claims."""
    await _left_behind(given, status=DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST)
    lease = await given.a_lease("r2")
    (taken,) = await given.recorded(lease, routed(an_alert("a", arr=2)), resend=True)
    assert taken.action is Action.SEND
    (entry,) = await given.pending(lease)
    assert (entry.claims, entry.payload) == (1, '{"text":"2"}')


async def test_a_region_without_a_channel_fails_and_is_tried_again(given: Given) -> None:
    """An alert without a channel fails with a sentence about why, until a later run has a channel for it."""
    lease = await given.a_lease("r1")
    nowhere = routed(an_alert("a", account_region="LATAM"), an_alert("b", account_region=None), channel=None)
    actions = await given.recorded(lease, nowhere)
    assert {(taken.action, taken.reason) for taken in actions} == {(Action.FAIL, Reason.UNKNOWN_REGION)}
    await given.finished("r1", alerts=2)
    counts = (await given.store.history.get_run("r1")).counts
    assert (counts.failed_deliveries, counts.unknown_region) == (2, 2)
    outcomes = await given.outcomes("r1")
    assert outcomes["a"].error_message == "no channel is configured for region 'LATAM'"
    assert outcomes["b"].error_message == "the account has no region"
    assert (await given.row_of("a"))["payload"] is None
    again, _ = await given.a_recorded("r2", routed("a", "b"))
    await given.all_sent(again)
    assert await given.status_of("a") == "sent"


@pytest.mark.parametrize(
    ("status", "left"),
    [
        (DeliveryStatus.PENDING, "withdrawn"),
        (DeliveryStatus.FAILED, "withdrawn"),
        (DeliveryStatus.SENT, "sent"),
        (DeliveryStatus.UNKNOWN, "unknown"),
    ],
)
async def test_what_is_no_alert_any_more_is_withdrawn_unless_it_left(
    given: Given, status: DeliveryStatus, left: str
) -> None:
    """Restated data withdraw what never arrived; what did, or may have, is history, and only reported."""
    await _left_behind(given, status=status)
    await given.recorded(await given.a_lease("r2"), routed("b"))
    assert await given.status_of("a") == left
    run = await given.store.history.get_run("r2")
    assert (run.counts.withdrawn, run.counts.restated, run.sample_restated) == (1, 0, ())
    (gone,) = run.sample_withdrawn
    assert (AccountAtRisk.of(gone.alert), gone.channel) == (an_alert("a", arr=1), "amer")
    assert gone.status is status
    assert (await given.store.history.list_withdrawn("r2", limit=9)).items == (gone,)


async def test_a_withdrawn_alert_comes_back(given: Given) -> None:
    """When the data are restated once more the alert goes out after all."""
    await _left_behind(given, status=DeliveryStatus.PENDING)
    await given.recorded(await given.a_lease("r2"), [])
    await given.finished("r2", alerts=0)
    lease, _ = await given.a_recorded("r3", routed("a"))
    await given.all_sent(lease)
    assert await given.status_of("a") == "sent"


async def test_months_do_not_touch_each_other(given: Given) -> None:
    """The same account's alert of another month is another alert."""
    await _left_behind(given, status=DeliveryStatus.PENDING)
    february = Month.parse("2026-02-01")
    await given.a_recorded("r2", routed(an_alert("a", month=february)), month=february)
    rows = await given.sql("SELECT period, status FROM outbox ORDER BY period")
    assert [tuple(row.values()) for row in rows] == [("2026-01-01", "pending"), ("2026-02-01", "pending")]
    assert set(await given.store.recording.standings(scope_of(MONTH), SOURCE)) == {an_alert("a").alert_id}


async def test_all_alerts_are_recorded_or_none(given: Given) -> None:
    """An alert that cannot be stored leaves nothing of its run's alerts behind."""
    lease = await given.a_lease("r1")
    broken = dataclasses.replace(an_alert("z"), arr=2**64)
    with pytest.raises((DatabaseUnusableError, TypeError)):
        await given.recorded(lease, routed(*(f"a{n}" for n in range(600)), broken))
    assert await given.sql("SELECT id FROM outbox") == []
    assert await given.outcomes("r1") == {}
    await given.recorded(lease, routed("a"))
    assert await given.status_of("a") == "pending"


async def test_a_dry_run_only_looks(given: Given) -> None:
    """A dry run says of each alert what a run would do, and the outbox stays as it was."""
    await _left_behind(given, status=DeliveryStatus.SENT)
    before = await given.sql("SELECT * FROM outbox")
    await given.a_run("r2", dry_run=True)
    await given.store.runs.note_evaluation("r2", an_evaluation(3))
    items = routed("a", "b") + routed(an_alert("c", account_region="LATAM"), channel=None)
    actions = await given.rehearsed("r2", items)
    assert [taken.action for taken in actions] == [Action.SKIP_REPLAY, Action.SEND, Action.FAIL]
    await given.finished("r2", alerts=3)
    assert await given.sql("SELECT * FROM outbox") == before
    counts = (await given.store.history.get_run("r2")).counts
    assert (counts.would_send, counts.alerts_sent, counts.skipped_replay, counts.unknown_region) == (
        1,
        0,
        1,
        1,
    )


async def test_a_dry_run_needs_no_month(given: Given) -> None:
    """A dry run goes on while another run holds the month."""
    await given.a_lease("r1")
    await given.a_run("r2", dry_run=True)
    await given.rehearsed("r2", routed("a"))
    assert (await given.outcomes("r2"))["a"].outcome == "would_send"


async def test_a_failed_run_counts_what_it_had_recorded(given: Given) -> None:
    """A run that fails in mid-delivery says `unsent` of what it did not come to."""
    lease, (first, _) = await given.a_recorded("r1", routed("a", "b"))
    await given.claimed(lease, [first])
    await given.settled(lease, the_answer(first))
    await given.finished("r1", error=RunError(code="database_unusable", detail="it is full"))
    counts = (await given.store.history.get_run("r1")).counts
    assert (counts.alerts, counts.alerts_sent, counts.unsent) == (2, 1, 1)
