"""What runs make of alerts that people work on: begun, joined, reopened and ended, with an event each."""

import hashlib
from typing import Any

import pytest

from service.account_risk.account_at_risk import AccountAtRisk
from service.domain.delivery_status import AmbiguousSends
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.lifecycle.managed_alert import AlertFilter
from service.domain.month import Month
from service.store.schema.migrations.versions.v0012_alerts import fill
from service.store.store import Store
from tests.support.alerts import MONTH, an_alert
from tests.support.given import Given, routed

JAN, FEB, MAR, APR = (MONTH.minus(-number) for number in range(4))
OTHER_TENANT = "00000000-0000-4000-8000-000000000001"


def at_risk(account: str, month: Month, *, since: Month | None = None, **changes: Any) -> AccountAtRisk:
    """Return an account that is At Risk in a month, since a month."""
    since = since or month
    duration = month.index - since.index + 1
    return an_alert(account, month=month, risk_start_month=since, duration_months=duration, **changes)


async def evaluated(
    given: Given, run_id: str, month: Month, *alerts: AccountAtRisk, sent: bool = False
) -> None:
    """Run a month that has these alerts."""
    lease, _ = await given.a_recorded(run_id, routed(*alerts), month=month)
    if sent:
        await given.all_sent(lease)
    await given.finished(run_id, alerts=len(alerts))


async def alerts_of(given: Given, subject: str = "a") -> list[dict[str, Any]]:
    """Return the alerts about a subject in the order of its months."""
    query = "SELECT * FROM alerts WHERE subject = :subject ORDER BY last_period, created_at"
    return await given.sql(query, subject=subject)


async def events_of(given: Given, alert_id: str) -> list[tuple[Any, ...]]:
    """Return what happened to an alert: the event, where it led, why, and which run did it."""
    query = "SELECT event, to_status, reason, run_id FROM alert_events WHERE alert_id = :id ORDER BY number"
    return [tuple(row.values()) for row in await given.sql(query, id=alert_id)]


async def check_events(given: Given) -> None:
    """Every change has its event, and the last one says where the alert stands."""
    wrong = await given.sql(
        "SELECT a.id FROM alerts a LEFT JOIN alert_events e ON e.alert_id = a.id "
        "GROUP BY a.id, a.version, a.status HAVING count(e.number) <> a.version "
        "OR max(e.number) <> a.version "
        "OR max(CASE WHEN e.number = a.version THEN e.to_status END) <> a.status"
    )
    assert wrong == []


async def everything(given: Given) -> list[list[dict[str, Any]]]:
    """Return all alerts and all events."""
    return [
        await given.sql("SELECT * FROM alerts ORDER BY id"),
        await given.sql("SELECT * FROM alert_events ORDER BY alert_id, number"),
    ]


async def test_the_months_of_a_streak_are_one_alert(given: Given) -> None:
    """Its id is that of its first occurrence, it reads as its newest, and replays change nothing."""
    first = at_risk("a", JAN)
    await evaluated(given, "r1", JAN, first, sent=True)
    second = at_risk("a", FEB, since=JAN, arr=250_000, account_region="EMEA", account_name="New & <co>")
    await evaluated(given, "r2", FEB, second)
    before = await everything(given)
    await evaluated(given, "r3", FEB, second)
    await evaluated(given, "r4", JAN, first)
    assert await everything(given) == before
    (alert,) = await alerts_of(given)
    assert (alert["id"], alert["status"], alert["reopened"]) == (first.alert_id, "triggered", 0)
    assert (alert["severity"], alert["route"], alert["version"]) == ("high", "EMEA", 2)
    assert alert["message"] == "🚩 At Risk: New & <co> (a)"
    assert (alert["began"], alert["last_period"]) == (str(JAN), str(FEB))
    assert await events_of(given, first.alert_id) == [
        ("triggered", "triggered", None, "r1"),
        ("joined", "triggered", None, "r2"),
    ]
    assert {row["alert_id"] for row in await given.sql("SELECT alert_id FROM outbox")} == {first.alert_id}
    await check_events(given)


async def test_what_is_withdrawn_is_over_and_comes_back(given: Given) -> None:
    """An alert without an occurrence is resolved; when the data have it again the same one is reopened."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN), at_risk("b", JAN))
    await evaluated(given, "r2", FEB, at_risk("b", FEB, since=JAN))
    await evaluated(given, "r3", JAN)
    (alert,) = await alerts_of(given)
    assert (alert["status"], alert["resolution_reason"], alert["resolved_by"]) == (
        "resolved",
        "withdrawn",
        "system",
    )
    (other,) = await alerts_of(given, "b")
    assert other["status"] == "triggered"
    await evaluated(given, "r4", JAN, at_risk("a", JAN), at_risk("b", JAN))
    (alert,) = await alerts_of(given)
    assert (alert["status"], alert["resolution_reason"], alert["reopened"]) == ("triggered", None, 1)
    assert alert["resolved_at"] is None
    assert await events_of(given, alert["id"]) == [
        ("triggered", "triggered", None, "r1"),
        ("resolved", "resolved", "withdrawn", "r3"),
        ("reopened", "triggered", None, "r4"),
    ]
    assert [event[0] for event in await events_of(given, other["id"])] == [
        "triggered",
        "joined",
        "withdrawn",
        "joined",
    ]
    await check_events(given)


async def test_an_old_month_that_is_run_late_neither_reopens_nor_opens_anything(given: Given) -> None:
    """It joins the alert of its streak, or is an alert of its own that is over, before the newer one."""
    await evaluated(given, "r1", APR, at_risk("a", APR, since=MAR))
    await evaluated(given, "r2", JAN, at_risk("a", JAN))
    await evaluated(given, "r3", MAR, at_risk("a", MAR))
    old, new = await alerts_of(given)
    assert (old["status"], old["resolution_reason"], old["last_period"]) == (
        "resolved",
        "recovered",
        str(JAN),
    )
    assert (new["status"], new["began"], new["last_period"]) == ("triggered", str(MAR), str(APR))
    assert [event[0] for event in await events_of(given, new["id"])] == ["triggered", "joined"]
    await check_events(given)


async def test_a_tenant_has_alerts_of_its_own(store: Store, given: Given) -> None:
    """The same account of another tenant joins nothing here."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN))
    other = Given(store.seen_by(Actor.system(OTHER_TENANT), Scope.of_system(OTHER_TENANT)))
    await evaluated(other, "r2", FEB, at_risk("a", FEB, since=JAN, tenant_id=OTHER_TENANT))
    rows = await given.sql("SELECT tenant_id, version FROM alerts ORDER BY last_period")
    assert [(row["tenant_id"] == OTHER_TENANT, row["version"]) for row in rows] == [(False, 1), (True, 1)]


async def test_a_dry_run_changes_no_alert(given: Given) -> None:
    """It only says what a run would send."""
    await given.a_run("r1", dry_run=True)
    await given.store.recording.record_dry_run(
        "r1", "risk_alert:x", routed("a"), ambiguous=AmbiguousSends.HOLD, restatable=()
    )
    assert await everything(given) == [[], []]


@pytest.mark.parametrize("is_sent", [True, False])
async def test_an_old_ledger_becomes_the_alerts_that_runs_in_order_would_have_made(
    given: Given, *, is_sent: bool
) -> None:
    """By account and streak; only the newest month of the source leaves some open, and nothing is sent."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN), at_risk("b", JAN), at_risk("c", JAN), sent=is_sent)
    await evaluated(given, "r2", FEB, at_risk("a", FEB, since=JAN), at_risk("c", FEB, since=JAN))
    await evaluated(given, "r3", APR, at_risk("a", APR, since=APR), at_risk("c", APR, since=JAN))
    outbox = await given.sql("SELECT id, status, claims FROM outbox ORDER BY id")
    for table in ("alerts", "alert_events"):
        await given.sql(f"DELETE FROM {table}")  # noqa: S608  # our names
    await given.store._database.write(fill, repeatable=True)
    assert await given.sql("SELECT id, status, claims FROM outbox ORDER BY id") == outbox
    found = [
        (row["subject"], row["id"], row["status"], row["resolution_reason"], row["previous_alert_id"])
        for subject in "abc"
        for row in await alerts_of(given, subject)
    ]
    first, last = at_risk("a", JAN).alert_id, at_risk("a", APR).alert_id
    assert found == [
        ("a", first, "resolved", "migrated", None),
        ("a", last, "triggered", None, first),
        ("b", at_risk("b", JAN).alert_id, "resolved", "migrated", None),
        ("c", at_risk("c", JAN).alert_id, "triggered", None, None),
    ]
    links = await given.sql("SELECT alert_id FROM outbox WHERE subject = 'c'")
    assert {row["alert_id"] for row in links} == {at_risk("c", JAN).alert_id}
    await check_events(given)
    await evaluated(given, "r4", MAR.minus(-2), at_risk("b", MAR.minus(-2), since=JAN))
    (back,) = await alerts_of(given, "b")
    assert (back["status"], back["reopened"]) == ("triggered", 1)


async def test_an_alert_is_found_by_a_route_that_no_index_takes_whole(given: Given) -> None:
    """A region of 4,000 characters is recorded and filtered by like any other."""
    region = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(63))
    await evaluated(given, "r1", JAN, at_risk("a", JAN, account_region=region), at_risk("b", JAN))
    found = await given.store.alerts.list(AlertFilter(route=region), limit=10)
    assert [alert.subject for alert in found.items] == ["a"]
