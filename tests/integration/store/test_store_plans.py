"""The statements of the verbs find their rows by index: none scans a table that only ever grows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.domain.delivery_status import DeliveryStatus, Outcome, Reason, SettleAs
from service.domain.month import Month
from service.store.database.sqlite import SqliteDatabase
from service.store.store import Store, open_store
from tests.support.alerts import MONTH, an_alert
from tests.support.given import CHANNELS, LEASE_S, NOW, SOURCE, Given, routed, scope_of, the_answer
from tests.support.predictions import MODEL, a_prediction

GROWING = {"outbox", "run_outcomes", "attempts", "run_withdrawals", "doubt_settlements"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open a store on a fresh SQLite file."""
    async with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        yield store


def _listen(database: SqliteDatabase) -> list[tuple[str, Any]]:
    """Collect every statement from now on, with values it was executed with."""
    heard: list[tuple[str, Any]] = []

    def hear(_c: object, _k: object, statement: str, values: Any, _x: object, many: object) -> None:
        heard.append((statement, values[0] if many else values))

    for engine in (database._writer, database._readers):
        sa.event.listen(engine, "before_cursor_execute", hear)
    return heard


async def _use_every_hot_verb(given: Given) -> None:
    store = given.store
    lease = await given.a_lease("r1")
    items = routed(*(f"a{number}" for number in range(8))) + routed("b", channel=None)
    await given.recorded(lease, items)
    entries = await given.pending(lease)
    await store.outbox.settle_and_claim(lease, [], entries[:4], now=NOW, lease_s=LEASE_S)
    answers = [
        the_answer(entries[0]),
        the_answer(entries[1], DeliveryStatus.UNKNOWN, reason=Reason.RESPONSE_LOST),
    ]
    await store.outbox.settle_and_claim(lease, answers, entries[4:6], now=NOW, lease_s=LEASE_S)
    await store.runs.keep_alive("r1", lease_s=LEASE_S, progress={})
    await store.history.get_run("r1")
    await store.history.list_alerts("r1", limit=3, outcome=Outcome.SENT)
    await store.outbox.end_lane(
        lease, CHANNELS, status=DeliveryStatus.FAILED, reason=Reason.DEADLINE, message="", now=NOW
    )
    await store.outbox.undelivered()
    await given.finished("r1", alerts=9)
    await given.a_recorded("r2", items[:2], resend=True)
    await given.expired("r2")
    await store.rescue.close_dead(now=NOW)
    await store.recording.standings(scope_of(MONTH), SOURCE)
    await store.history.list_runs(limit=3)
    await _use_what_people_use(given, [item.alert.alert_id for item in items])


async def _use_what_people_use(given: Given, alert_ids: list[str]) -> None:
    store = given.store
    await store.history.get_alert(alert_ids[0])
    await store.doubts.settle_run("r1", SettleAs.RESEND, by="ann", note=None, now=NOW)
    await given.recorded(await given.a_lease("r3"), routed("b"))
    await store.recording.withdrawable(alert_ids)
    page = await store.history.list_withdrawn("r3", limit=1)
    await store.history.list_withdrawn("r3", limit=1, cursor=page.next_cursor)
    await store.history.list_alerts("r3", limit=3, restated=True)
    await store.retention.prune(before=NOW + timedelta(days=1))


async def test_no_verb_scans_a_growing_table(store: Store) -> None:
    """With a year of alerts in the database SQLite's own plans show a search wherever it grows."""
    given = Given(store)
    for number in range(12):
        month = Month.parse("2025-01-01").minus(-number)
        lease, _ = await given.a_recorded(
            f"old{number}", routed(*(an_alert(f"a{n}", month=month) for n in range(40))), month=month
        )
        await given.all_sent(lease)
        await given.finished(f"old{number}", alerts=40)
    database = store._database
    assert isinstance(database, SqliteDatabase)
    heard = _listen(database)
    await asyncio.wait_for(_use_every_hot_verb(given), 30)
    statements = {
        text: values for text, values in heard if text.split()[0] in {"SELECT", "UPDATE", "INSERT", "DELETE"}
    }
    assert len(statements) > 20

    def plans(connection: sa.Connection) -> dict[str, list[str]]:
        return {
            text: [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            for text, values in statements.items()
        }

    found = await database.read(plans)
    bad = {text: steps for text, steps in found.items() if any(_scans(step) for step in steps)}
    assert bad == {}
    hot = {text: steps for text, steps in found.items() if "claims" in text and text.split()[0] == "UPDATE"}
    assert len(hot) >= 2, "a settle and a claim"
    for text, steps in hot.items():
        by_id = "SEARCH outbox USING INDEX sqlite_autoindex_outbox_1"
        assert any(step.startswith(by_id) for step in steps), (text, steps)


async def test_a_batch_of_predictions_is_looked_up_row_by_row(store: Store) -> None:
    """By index, from the batch to the table: the other way round a million rows would take for ever."""
    database = store._database
    assert isinstance(database, SqliteDatabase)
    heard = _listen(database)
    for year in range(2020, 2024):
        await store.default_risk.predictions.record(a_prediction(year=year), model=MODEL)
    batches = {text: values for text, values in heard if "json_each" in text}
    assert {"companies" in text for text in batches} == {True, False}

    def plans(connection: sa.Connection) -> list[str]:
        return [
            row[3]
            for text, values in batches.items()
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
        ]

    steps = await database.read(plans)
    period = "company_id=? AND kind=? AND reporting_year=? AND reporting_quarter=? AND model_sha256=?"
    searched = {step.partition(" USING INDEX ")[2] for step in steps if not step.startswith("SCAN json_each")}
    assert searched == {
        "companies_by_symbol (organization_id=? AND symbol=?)",
        f"predictions_by_period ({period})",
    }


def _scans(step: str) -> bool:
    words = step.split()
    # The partial index over what is open holds only what is open: reading all of it is the point.
    return words[0] == "SCAN" and words[1] in GROWING | {"a", "t"} and "outbox_open" not in words
