"""Migrations: a ledger of the first version, with a history in it, becomes one of the newest."""

import asyncio
import multiprocessing
import shutil
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from service.domain.delivery_status import Outcome, Reason
from service.domain.run import Action
from service.store.schema import migrations
from service.store.schema import tables as schema
from service.store.store import open_store
from tests.support.databases import Backend
from tests.support.given import MONTH, NOW, Given, an_alert, routed

FIRST: Final = "0001"
STARTING: Final = 4
FACTS: Final = {
    "account_name": "Ünïcode 🚩",
    "account_region": "AMER",
    "duration_months": 3,
    "duration_is_minimum": True,
    "risk_start_month": "2025-11-01",
    "arr": 2**40,
    "renewal_date": date(2026, 9, 1),
    "account_owner": None,
}
RUN: Final = {"source_uri": "file:///x.parquet", "month": str(MONTH), "dry_run": False, "started_at": NOW}
BY_OUTCOME: Final = {"a": "sent", "b": "failed", "c": "unknown", "d": "pending"}
"""Accounts of the old ledger, and what became of each."""
REASONS: Final = {"b": "server_error", "c": "server_error", "d": "stopped"}
"""Why; the last is the first version's own word for a run that SIGTERM ended."""


def _history() -> dict[sa.Table, list[dict[str, Any]]]:
    """Return the rows of a ledger as the first version wrote them."""
    ids = {account: an_alert(account).alert_id for account in BY_OUTCOME}
    return {
        schema.runs: [
            RUN
            | {
                "run_id": "r1",
                "status": "succeeded",
                "finished_at": NOW,
                "epoch": 1,
                "expires_at": 1795236000.25,
                "warnings": "[]",
                "outcome_counts": '{"sent":1,"failed":1,"unknown":1,"unsent":1}',
            },
            RUN | {"run_id": "r2", "status": "running", "expires_at": 4e9, "month": "2026-02-01"},
        ],
        schema.month_leases: [{"month": str(MONTH), "epoch": 1, "run_id": "r1"}],
        schema.alert_outcomes: [
            FACTS
            | {
                "id": ids[account],
                "run_id": "r1",
                "account_id": account,
                "month": str(MONTH),
                "channel": "amer",
                "status": status,
                "error": REASONS.get(account),
                "sent_at": NOW if status == "sent" else None,
                "created_at": NOW,
                "updated_at": NOW,
                "position": position,
                "payload": '{"text":"…"}',
                "claims": 2,
            }
            for position, (account, status) in enumerate(BY_OUTCOME.items())
        ],
        schema.run_outcomes: [
            FACTS
            | {
                "run_id": "r1",
                "position": position,
                "alert_id": ids[account],
                "account_id": account,
                "channel": "amer",
                "outcome": "unsent" if status == "pending" else status,
                "reason": REASONS.get(account),
                "attempts": 2,
            }
            for position, (account, status) in enumerate(BY_OUTCOME.items())
        ],
        schema.attempts: [
            {
                "alert_id": ids["a"],
                "claim": claim,
                "run_id": "r1",
                "claimed_at": NOW,
                "settled_at": NOW,
                "http_status": status,
                "retry_after_s": 1.5 if status == 429 else None,
                "status": "pending" if status == 429 else "sent",
            }
            for claim, status in ((1, 429), (2, 200))
        ],
    }


Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let this process know the first version only, until the change is undone."""
    steps = tmp_path / "migrations"
    later = [f"v{number:04}_*" for number in range(2, int(schema.NEWEST_REVISION) + 1)]
    ignored = shutil.ignore_patterns("__pycache__", *later)
    shutil.copytree(Path(migrations.__file__).parent, steps, ignore=ignored)
    monkeypatch.setattr(migrations, "__file__", str(steps / "__init__.py"))
    monkeypatch.setattr(schema, "NEWEST_REVISION", FIRST)
    return monkeypatch


async def _old_ledger(url: str, old_version: pytest.MonkeyPatch) -> Rows:
    """Make a ledger of the first version and return what it holds."""

    def write(connection: sa.Connection) -> None:
        for table, rows in _history().items():
            for row in rows:
                connection.execute(table.insert().values(row))

    async with open_store(url) as store:
        await store._database.write(write, repeatable=True)
        rows = await _rows(Given(store))
    old_version.undo()
    assert "recorded_at" not in rows["runs"][0], "this is not the first version"
    return rows


async def _rows(given: Given) -> Rows:
    return {
        table.name: await given.sql(
            f"SELECT * FROM {table.name} ORDER BY {', '.join(table.primary_key.columns.keys())}"  # noqa: S608
        )
        for table in _history()
    }


def _within(old: Rows, new: Rows) -> Rows:
    """Return the new rows without the columns that the old ones do not have."""
    return {
        table: [{name: row[name] for name in old[table][0]} for row in rows] for table, rows in new.items()
    }


def _as_upgraded(old: Rows) -> Rows:
    """Return the old rows with the one word that is replaced."""
    return {
        table: [
            {name: "interrupted" if value == "stopped" else value for name, value in row.items()}
            for row in rows
        ]
        for table, rows in old.items()
    }


async def test_a_ledger_of_the_first_version_keeps_every_row(
    backend: Backend, old_version: pytest.MonkeyPatch
) -> None:
    """All that was written down reads the same after the upgrade; what is new begins as nothing."""
    url = backend.new(empty=True)
    old = await _old_ledger(url, old_version)
    async with open_store(url) as store:
        new = await _rows(Given(store))
        (version,) = await Given(store).sql("SELECT version_num FROM alembic_version")
    assert version == {"version_num": schema.NEWEST_REVISION}
    assert _within(old, new) == _as_upgraded(old)
    fresh = {"recorded_at", "cancelled_at", "noticed_at", "plan_digest", "delivery_left_s"}
    assert [{name: row[name] for name in fresh} for row in new["runs"]] == [dict.fromkeys(fresh)] * 2
    assert [(row["withdrawn"], row["restated"]) for row in new["runs"]] == [(0, 0)] * 2
    assert {(row["retries"], row["rate_limits"]) for row in new["alert_outcomes"]} == {(0, 0)}


async def test_a_stop_of_the_first_version_can_be_read(
    backend: Backend, old_version: pytest.MonkeyPatch
) -> None:
    """What its word for a run ended by SIGTERM stands at is listed, previewed and shown as interrupted."""
    url = backend.new(empty=True)
    await _old_ledger(url, old_version)
    async with open_store(url) as store:
        (stopped,) = [
            item for item in (await store.history.get_run("r1")).sample_alerts if item.outcome == "unsent"
        ]
        standings = await store.recording.standings(MONTH, str(RUN["source_uri"]))
        assert stopped.reason is Reason.INTERRUPTED
        assert standings[stopped.alert.alert_id].reason is Reason.INTERRUPTED
        assert (await store.history.get_alert(stopped.alert.alert_id)).reason is Reason.INTERRUPTED


async def test_an_upgraded_ledger_is_worked_on(backend: Backend, old_version: pytest.MonkeyPatch) -> None:
    """Old runs can be looked at, and a replay sends what the old version left and nothing that it sent."""
    url = backend.new(empty=True)
    await _old_ledger(url, old_version)
    async with open_store(url) as store:
        given = Given(store)
        assert (await store.history.get_run("r1")).counts.alerts_sent == 1
        outcomes = await given.outcomes("r1")
        assert [outcomes[account].outcome for account in BY_OUTCOME] == [
            Outcome.SENT,
            Outcome.FAILED,
            Outcome.UNKNOWN,
            Outcome.UNSENT,
        ]
        lease = await given.a_lease("r3")
        assert lease.epoch == 2
        decisions = await given.recorded(lease, routed(*BY_OUTCOME))
        assert [decision.action for decision in decisions] == [
            Action.SKIP_REPLAY,
            Action.SEND,
            Action.HOLD,
            Action.SEND,
        ]
        await given.all_sent(lease)
        await given.finished("r3", alerts=len(BY_OUTCOME))


async def test_processes_that_upgrade_at_once_all_succeed(
    backend: Backend, old_version: pytest.MonkeyPatch
) -> None:
    """Of several processes of the new version that start together one upgrades, and no row is lost."""
    url = backend.new(empty=True)
    old = await _old_ledger(url, old_version)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_start, args=(url,)) for _ in range(STARTING)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 60)
    assert [process.exitcode for process in processes] == [0] * STARTING
    async with open_store(url) as store:
        assert _within(old, await _rows(Given(store))) == _as_upgraded(old)


def _start(url: str) -> None:
    async def come_and_go() -> None:
        async with open_store(url) as store:
            assert (await store.history.get_run("r1")).run_id == "r1"

    asyncio.run(come_and_go())
