"""Alerts end when the data say so: in the order of the data's months, whenever these are evaluated."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_any
from hypothesis import strategies as st

from service.domain.delivery_status import DeliveryStatus
from service.domain.evaluation import Condition
from service.domain.lifecycle.message_state import MessageState
from service.domain.month import Month
from service.store.alerts.recovery import Seen
from service.store.store import open_store
from tests.conformance.alert_model import (
    ABSENT,
    ACCOUNTS,
    ALERTING,
    BELOW,
    HEALTHY,
    MONTHS,
    SAID,
    Data,
    Model,
    began_of,
)
from tests.conformance.test_conformance_alerts import alerts_of, at_risk, check_events, everything
from tests.support.given import RISK, SOURCE, Given, routed

JAN, FEB, MAR, APR = MONTHS
OTHER_SOURCE: Final = "file:///other.parquet"


async def evaluated(
    given: Given,
    run_id: str,
    month: Month,
    *alerts: Any,
    source: str = SOURCE,
    **conditions: Condition,
) -> None:
    """Run a month that has these alerts, and says this of watched accounts that do not alert."""
    seen = Seen(alert_type="risk_alert", period=str(month), conditions=conditions)
    lease, _ = await given.a_recorded(run_id, routed(*alerts), month=month, source=source, seen=seen)
    await given.all_sent(lease)
    await given.finished(run_id, alerts=len(alerts))


async def state_ahead(given: Given, alert: Any) -> MessageState | None:
    """Return what the message of an alert would say of it before it is recorded."""
    found = await given.store.open_alerts.states([(alert, RISK.problem(alert))], until=None)
    return found.get(alert.alert_id)


async def watched(given: Given, month: Month, source: str = SOURCE) -> list[str]:
    """Return the accounts that a run of the month asks its evaluation about."""
    return await given.store.open_alerts.watched("risk_alert", source_uri=source, period=str(month))


async def test_an_account_that_is_no_longer_at_risk_has_recovered(given: Given) -> None:
    """The newest month ends its alert, with an event that names the run; replays change nothing."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN), at_risk("b", JAN))
    assert await watched(given, FEB) == ["a", "b"]
    await evaluated(given, "r2", FEB, at_risk("b", FEB, since=JAN), a=Condition.RECOVERED)
    (alert,) = await alerts_of(given)
    assert (alert["status"], alert["resolution_reason"], alert["resolved_by"]) == (
        "resolved",
        "recovered",
        "system",
    )
    assert alert["resolved_at"] is not None
    (event,) = await given.sql("SELECT * FROM alert_events WHERE event = 'resolved'")
    assert (event["run_id"], event["period"], event["reason"]) == ("r2", str(FEB), "recovered")
    assert await watched(given, FEB) == ["b"]
    before = await everything(given)
    await evaluated(given, "r3", FEB, at_risk("b", FEB, since=JAN), a=Condition.RECOVERED)
    await evaluated(given, "r4", JAN, at_risk("a", JAN), at_risk("b", JAN))
    assert await everything(given) == before
    await check_events(given)


@pytest.mark.parametrize("condition", [Condition.NOT_SEEN, Condition.BELOW_THRESHOLD, Condition.UNKNOWN_ARR])
async def test_what_cannot_be_known_stays_open_and_is_marked(given: Given, condition: Condition) -> None:
    """One event for each month that says so; the mark goes when the account alerts, or has recovered."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN))
    await evaluated(given, "r2", FEB, a=condition)
    await evaluated(given, "r3", FEB, a=condition)
    await evaluated(given, "r4", MAR, a=condition)
    (alert,) = await alerts_of(given)
    assert (alert["status"], alert["last_seen"]) == ("triggered", condition)
    events = await given.sql("SELECT event, period FROM alert_events ORDER BY number")
    assert [(event["event"], event["period"]) for event in events] == [
        ("triggered", str(JAN)),
        (condition, str(FEB)),
        (condition, str(MAR)),
    ]
    await evaluated(given, "r5", MAR, at_risk("a", MAR))
    (alert,) = await alerts_of(given)
    assert (alert["status"], alert["last_seen"]) == ("triggered", "alerting")
    await evaluated(given, "r6", MAR, a=condition)
    assert (await alerts_of(given))[0]["last_seen"] == condition
    # Found again as it was recorded, and sent: the mark goes all the same.
    await evaluated(given, "r7", MAR, at_risk("a", MAR))
    assert (await alerts_of(given))[0]["last_seen"] == "alerting"
    await evaluated(given, "r8", APR, a=Condition.RECOVERED)
    (alert,) = await alerts_of(given)
    assert (alert["status"], alert["resolution_reason"]) == ("resolved", "recovered")
    await check_events(given)


async def test_an_old_month_ends_nothing_newer(given: Given) -> None:
    """A backfill neither resolves nor marks an alert of which a newer month has the last word."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN))
    await evaluated(given, "r2", MAR, a=Condition.NOT_SEEN)
    assert await watched(given, FEB) == []
    before = await everything(given)
    await evaluated(given, "r3", FEB, a=Condition.RECOVERED)
    assert await everything(given) == before


async def test_the_newest_month_is_a_sources(given: Given) -> None:
    """What another file says of the account, or does not say, ends nothing."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN))
    assert await watched(given, FEB, OTHER_SOURCE) == []
    before = await everything(given)
    await evaluated(given, "r2", FEB, source=OTHER_SOURCE, a=Condition.RECOVERED)
    assert await everything(given) == before


async def test_the_same_month_restated_ends_it_and_takes_it_up_again(given: Given) -> None:
    """A month that says otherwise now has the last word of itself."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN))
    await evaluated(given, "r2", JAN, a=Condition.RECOVERED)
    (alert,) = await alerts_of(given)
    assert (alert["status"], alert["resolution_reason"]) == ("resolved", "recovered")
    await evaluated(given, "r3", JAN, at_risk("a", JAN))
    (alert,) = await alerts_of(given)
    assert (alert["status"], alert["reopened"], alert["last_seen"]) == ("triggered", 1, "alerting")
    await check_events(given)


async def test_an_acknowledged_alert_recovers_too(given: Given) -> None:
    """Whoever works on it need not close it; until then next month's message names them, and since when."""
    await evaluated(given, "r1", JAN, at_risk("a", JAN), at_risk("b", JAN))
    await given.sql(
        "UPDATE alerts SET status = 'acknowledged', acknowledged_by = 'ann', acknowledged_at = created_at "
        "WHERE subject = 'a'"
    )
    (since,) = await given.sql("SELECT acknowledged_at AS at FROM alerts WHERE subject = 'a'")
    line = await state_ahead(given, at_risk("a", FEB, since=JAN))
    assert line is not None
    assert (line.status, line.by) == ("acknowledged", "ann")
    assert str(line.at)[:10] == str(since["at"])[:10]
    assert await state_ahead(given, at_risk("a", JAN)) == line  # as it was recorded
    await evaluated(given, "r2", FEB, a=Condition.RECOVERED)
    assert (await alerts_of(given))[0]["resolution_reason"] == "recovered"
    assert await state_ahead(given, at_risk("a", MAR)) is None  # a new one would begin
    late = await state_ahead(given, at_risk("a", JAN.minus(2)))
    assert late is not None
    assert (late.status, late.reason, late.at) == ("resolved", "recovered", None)


# For any order of months.

states = st.sampled_from([ALERTING, ALERTING, HEALTHY, BELOW, ABSENT])
datas = st.fixed_dictionaries({(name, month): states for name in ACCOUNTS for month in MONTHS})
restatements = st.dictionaries(
    st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(MONTHS)), states, max_size=2
)
steps = st.lists(st.tuples(st.sampled_from(MONTHS), st.just({}) | restatements), min_size=1, max_size=6)
_numbers = count()


@pytest.fixture
def runner(database_url: str) -> Iterator[tuple[asyncio.Runner, Given]]:
    """Open a store for all examples; each has accounts and a source of its own."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        store = runner.run(stack.enter_async_context(open_store(database_url)))
        yield runner, Given(store)
        runner.run(stack.aclose())


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@for_any(data=datas, steps=steps)
def test_recovery_is_that_of_the_model(
    runner: tuple[asyncio.Runner, Given], data: Data, steps: Sequence[tuple[Month, Data]]
) -> None:
    """Months in any order, again, and restated: alerts are as a model of a few lines has them."""
    running, given = runner
    running.run(_agrees(given, dict(data), steps, example=next(_numbers)))


async def _agrees(given: Given, data: Data, steps: Sequence[tuple[Month, Data]], *, example: int) -> None:
    model, source = Model(), f"file:///{example}.parquet"
    for number, (month, restated) in enumerate(steps):
        data |= restated
        found = [
            at_risk(f"{example}{name}", month, since=began_of(data, name, month))
            for name in ACCOUNTS
            if data[name, month] == ALERTING
        ]
        assert await watched(given, month, source) == sorted(
            f"{example}{one}" for one in model.watched(month)
        )
        conditions = {
            f"{example}{name}": SAID[data[name, month]]
            for name in model.watched(month)
            if data[name, month] != ALERTING
        }
        seen = Seen(alert_type="risk_alert", period=str(month), conditions=conditions)
        recovering = await given.store.open_alerts.recovering(seen, source_uri=source)
        run_id = f"r{example:04}{number:02}"
        await evaluated(given, run_id, month, *found, source=source, **conditions)
        recovered = await given.sql(
            "SELECT alert_id FROM alert_events WHERE run_id = :run_id AND reason = 'recovered' "
            "AND from_status IS NOT NULL",
            run_id=run_id,
        )
        assert {one.alert_id for one in recovering} == {event["alert_id"] for event in recovered}
        model.run(month, data)
        model.deliver(month, DeliveryStatus.SENT)
        for name in ACCOUNTS:
            rows = await alerts_of(given, f"{example}{name}")
            assert sorted(map(_shown, rows)) == sorted(one.facts() for one in model.alerts[name])
    await check_events(given)


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    names = "began", "last_period", "evaluated_period", "status", "resolution_reason", "last_seen", "reopened"
    return tuple(str(row[name]) for name in names)
