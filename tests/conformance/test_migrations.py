"""Migrations: ledgers of older versions, with a history in them, become ones of the newest in place."""

import asyncio
import hashlib
import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import sqlalchemy as sa

from service.account_risk.kind import month_request
from service.api.schemas.alert import AlertOut, RunAlertOut, WithdrawnOut
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.errors import DatabaseOutdatedError
from service.domain.run import Action
from service.domain.source_uri import SourceUri
from service.domain.tenant import DEFAULT_TENANT
from service.store.schema import migrations, upgrade
from service.store.schema import tables as schema
from service.store.schema.upgrade import upgrade_database
from service.store.store import open_store, open_store_to_read
from tests.support.alerts import MONTH, an_alert
from tests.support.databases import Backend, open_at_once
from tests.support.given import NOW, Given, routed, scope_of

Rows = dict[str, list[dict[str, Any]]]

SOURCE: Final = "file:///x.parquet"
FACTS: Final = {
    "account_name": "Ünïcode 🚩 \"quoted\" \\ 'x'",
    "account_region": "AMER",
    "duration_months": 3,
    "duration_is_minimum": True,
    "risk_start_month": "2025-11-01",
    "arr": 2**62 + 1,
    "renewal_date": date(2026, 9, 1),
    "account_owner": None,
}
RUN: Final = {"source_uri": SOURCE, "month": str(MONTH), "dry_run": False, "started_at": NOW}
BY_STATUS: Final = {"a": "sent", "b": "failed", "c": "unknown", "d": "pending", "e": "withdrawn"}
"""Accounts of the old ledger, and what became of each."""
OUTCOMES: Final = {"pending": "unsent", "withdrawn": "failed"}
"""What a run says of those that are not called so there."""
REASONS: Final = {"b": "unknown_region", "c": "server_error", "d": "stopped"}
"""Why; the last is the first version's own word for a run that SIGTERM ended."""
IDS: Final = {account: an_alert(account).alert_id for account in BY_STATUS}
KEY: Final = "monday's run"


def _first() -> Rows:
    """Return the rows of a ledger as the first version wrote them."""
    old = {account: status for account, status in BY_STATUS.items() if status != "withdrawn"}
    return {
        "runs": [
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
        "month_leases": [{"month": str(MONTH), "epoch": 1, "run_id": "r1"}],
        "alert_outcomes": [_outbox_row(account, place) for place, account in enumerate(old)],
        "run_outcomes": [_run_row(account, place) for place, account in enumerate(old)],
        "attempts": [
            {
                "alert_id": IDS["a"],
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


def _second() -> Rows:
    """Return those of the second version, which knew restated data, settled doubts and repeated requests."""
    rows = _first()
    rows["runs"][0] |= {"recorded_at": NOW, "noticed_at": NOW, "plan_digest": "d" * 64, "withdrawn": 1}
    rows["alert_outcomes"].append(_outbox_row("e", 4))
    rows["run_outcomes"][0]["restated"] = '{"arr":[7,9]}'
    rows["run_withdrawals"] = [
        FACTS
        | {"run_id": "r1", "alert_id": IDS["e"], "account_id": "e", "channel": "amer", "status": "failed"}
    ]
    rows["decisions"] = [
        {
            "alert_id": IDS["a"],
            "claim": 1,
            "run_id": "r1",
            "decision": "resend",
            "decided_by": "ann",
            "decided_at": NOW,
            "note": "?",
        }
    ]
    asked = {**dict.fromkeys(("plan_digest", "idempotency_key")), **RUN}
    del asked["started_at"]
    text = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
    rows["idempotency_keys"] = [
        {
            "key": KEY,
            "request_hash": hashlib.sha256(text).hexdigest(),
            "run_id": "r1",
            "created_at": time.time(),
        }
    ]
    rows["lanes"] = [{"lane": "f" * 64, "next_turn": 1795236000.5, "paused_until": 0.0}]
    return rows


def _outbox_row(account: str, position: int) -> dict[str, Any]:
    return FACTS | {
        "id": IDS[account],
        "run_id": "r1",
        "account_id": account,
        "month": str(MONTH),
        "channel": "amer",
        "status": BY_STATUS[account],
        "error": REASONS.get(account),
        "sent_at": NOW if BY_STATUS[account] == "sent" else None,
        "created_at": NOW,
        "updated_at": NOW,
        "position": position,
        "payload": '{"text":"…"}',
        "claims": 2,
    }


def _run_row(account: str, position: int) -> dict[str, Any]:
    status = BY_STATUS[account]
    return FACTS | {
        "run_id": "r1",
        "position": position,
        "alert_id": IDS[account],
        "account_id": account,
        "channel": "amer",
        "outcome": OUTCOMES.get(status, status),
        "reason": REASONS.get(account),
        "attempts": 2,
    }


HISTORIES: Final[dict[str, Callable[[], Rows]]] = {"0001": _first, "0002": _second}


@pytest.fixture(params=HISTORIES)
async def old_url(
    request: pytest.FixtureRequest, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Make a ledger of an old version, and return where it is."""
    version = str(request.param)
    steps = tmp_path / "migrations"
    later = [f"v{n:04}_*" for n in range(int(version) + 1, int(schema.NEWEST_REVISION) + 1)]
    ignored = shutil.ignore_patterns("__pycache__", *later)
    shutil.copytree(Path(migrations.__file__).parent, steps, ignore=ignored)
    monkeypatch.setattr(migrations, "__file__", str(steps / "__init__.py"))
    monkeypatch.setattr(schema, "NEWEST_REVISION", version)
    # A version of long ago is made by its own steps, and not as a new database is made today.
    monkeypatch.setattr(upgrade, "create_newest", lambda _: None)

    def write(connection: sa.Connection) -> None:
        tables = sa.MetaData()
        tables.reflect(connection)
        assert "outbox" not in tables.tables
        for name, rows in HISTORIES[version]().items():
            for row in rows:
                connection.execute(tables.tables[name].insert().values(row))

    url = backend.new(empty=True)
    async with open_store(url) as store:
        await store._database.write(write, repeatable=True)
    monkeypatch.undo()
    return url


async def _contents(given: Given, table: str, *keys: str) -> list[dict[str, Any]]:
    return await given.sql(f"SELECT * FROM {table} ORDER BY {', '.join(keys)}")  # noqa: S608  # our names


async def test_who_only_reads_does_not_upgrade(old_url: str) -> None:
    """An older schema is refused with the command that upgrades it, and is left as it is until then."""
    for _ in range(2):
        with pytest.raises(DatabaseOutdatedError, match="run `risk-alerts db upgrade`"):
            async with open_store_to_read(old_url):
                pass
    before = await upgrade_database(old_url)
    assert before in HISTORIES
    assert await upgrade_database(old_url) == schema.NEWEST_REVISION
    async with open_store_to_read(old_url) as store:
        page = await store.history.list_runs(limit=500, cursor=None, period=None, status=None)
        assert page.items


async def test_every_row_is_kept_and_is_the_default_tenants(old_url: str) -> None:
    """All that was written down reads the same after the upgrade; what is new begins as nothing."""
    async with open_store(old_url) as store:
        given = Given(store)
        (version,) = await given.sql("SELECT version_num FROM alembic_version")
        runs = await _contents(given, "runs", "run_id")
        leases = await _contents(given, "leases", "scope")
        rows = await _contents(given, "outbox", "position")
        outcomes = await _contents(given, "run_outcomes", "position")
        attempts = await _contents(given, "attempts", "claim")
        left = {name for name in await _tables(given) if name.startswith("old_")}
    assert version == {"version_num": schema.NEWEST_REVISION}
    assert left == set()
    assert [(run["run_id"], run["kind"], run["scope"], run["period"]) for run in runs] == [
        ("r1", "account_risk", "risk_alert:2026-01-01", "2026-01-01"),
        ("r2", "account_risk", "risk_alert:2026-02-01", "2026-02-01"),
    ]
    owned = {"tenant_id": DEFAULT_TENANT}
    assert leases == [owned | {"scope": scope_of(MONTH), "epoch": 1, "run_id": "r1"}]
    assert {row["tenant_id"] for row in [*runs, *rows]} == {DEFAULT_TENANT}
    assert [(row["id"], row["subject"], row["status"], row["claims"]) for row in rows] == [
        (IDS[account], account, BY_STATUS[account], 2) for account in [*BY_STATUS][: len(rows)]
    ]
    assert {(row["retries"], row["rate_limits"], row["position"] < 5) for row in rows} == {(0, 0, True)}
    assert [row["outcome"] for row in outcomes] == ["sent", "failed", "unknown", "unsent"]
    assert {(row["alert_type"], row["period"], row["route"]) for row in [*rows, *outcomes]} == {
        ("risk_alert", str(MONTH), "AMER")
    }
    assert [row["http_status"] for row in attempts] == [429, 200]


async def _tables(given: Given) -> list[str]:
    def work(connection: sa.Connection) -> list[str]:
        return sa.inspect(connection).get_table_names()

    return await given.store._database.read(work)


async def test_each_account_and_streak_becomes_an_alert(old_url: str) -> None:
    """It is triggered, since the newest month of its source has it; what was withdrawn is over."""
    async with open_store(old_url) as store:
        given = Given(store)
        alerts = await _contents(given, "alerts", "subject")
        events = await _contents(given, "alert_events", "alert_id")
        occurrences = await _contents(given, "outbox", "subject")
    assert [row["alert_id"] for row in occurrences] == [row["id"] for row in alerts]
    assert {
        row["subject"]: (row["id"], row["status"], row["resolution_reason"], row["resolved_by"])
        for row in alerts
    } == {
        account: (IDS[account], "triggered", None, None)
        if status != "withdrawn"
        else (IDS[account], "resolved", "withdrawn", "system")
        for account, status in BY_STATUS.items()
        if account in {row["subject"] for row in occurrences}
    }
    first = alerts[0]
    assert first["message"] == f"🚩 At Risk: {FACTS['account_name']} (a)"
    assert (first["severity"], first["rule_name"], first["route"]) == ("critical", "account_at_risk", "AMER")
    assert (first["began"], first["last_period"]) == (FACTS["risk_start_month"], str(MONTH))
    assert {event["alert_id"]: (event["number"], event["to_status"]) for event in events} == {
        row["id"]: (row["version"], row["status"]) for row in alerts
    }


async def test_the_view_reads_as_the_table_did(old_url: str) -> None:
    """`alert_outcomes` has the ledger in the words of accounts and months, value by value."""
    async with open_store(old_url) as store:
        given = Given(store)
        shown = await _contents(given, "alert_outcomes", "account_id")
        # Through the types of a table, since SQLite's own values are texts and numbers.
        typed = sa.table(
            "alert_outcomes",
            *(sa.column(name) for name in ("account_id", "month", "alert_type", "channel", "status")),
            sa.column("sent_at", schema.UtcTimestamp),
            *(sa.column(name) for name in FACTS if name not in {"renewal_date", "duration_is_minimum"}),
            sa.column("renewal_date", sa.Date),
            sa.column("duration_is_minimum", sa.Boolean),
        )
        query = sa.select(typed).order_by(typed.c.account_id)
        rows = await store._database.read(
            lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )
    assert [row["id"] for row in shown] == [IDS[row["account_id"]] for row in shown]
    assert rows == [
        FACTS
        | {
            "account_id": account,
            "month": str(MONTH),
            "alert_type": "risk_alert",
            "channel": "amer",
            "status": BY_STATUS[account],
            "sent_at": NOW if account == "a" else None,
        }
        for account in [*BY_STATUS][: len(rows)]
    ]


async def test_answers_are_what_they_were(old_url: str) -> None:
    """Alerts, runs and withdrawals are shown as before, ids and facts alike."""
    facts = FACTS | {"alert_type": "risk_alert", "month": MONTH.first_day, "channel": "amer"}
    facts["risk_start_month"] = date(2025, 11, 1)
    async with open_store(old_url) as store:
        run = await store.history.get_run("r1")
        first = RunAlertOut.of(run.sample_alerts[0])
        alert = AlertOut.of(await store.history.get_alert(IDS["a"]))
        withdrawn = [WithdrawnOut.of(item) for item in run.sample_withdrawn]
        request = month_request(SourceUri.parse(SOURCE), MONTH, idempotency_key=KEY)
        named = await store.requests.run_of(request)
    assert (run.source_uri, run.period, run.counts.alerts_sent) == (SOURCE, str(MONTH), 1)
    assert first.model_dump(include={*facts, "alert_id"}) == facts | {"alert_id": IDS["a"]}
    assert (first.outcome, first.attempts) == (Outcome.SENT, 2)
    assert alert.model_dump(include={*facts}) == facts
    assert (alert.status, alert.sent_at) == (DeliveryStatus.SENT, NOW)
    if run.plan_digest is not None:  # the second version
        assert first.restated is not None
        assert first.restated.arr == (7, 9)
        assert [(item.account_id, item.status) for item in withdrawn] == [("e", "failed")]
        assert [(item.settled_as, item.by, item.note) for item in alert.settled] == [("resend", "ann", "?")]
        assert named == "r1"


async def test_a_stop_of_the_first_version_can_be_read(old_url: str) -> None:
    """What its word for a run ended by SIGTERM stands at is listed, previewed and shown as interrupted."""
    async with open_store(old_url) as store:
        run = await store.history.get_run("r1")
        (stopped,) = [item for item in run.sample_alerts if item.outcome == "unsent"]
        standings = await store.recording.standings(scope_of(MONTH), SOURCE)
        assert stopped.reason is Reason.INTERRUPTED
        assert standings[stopped.alert.alert_id].reason is Reason.INTERRUPTED
        assert (await store.history.get_alert(stopped.alert.alert_id)).reason is Reason.INTERRUPTED


async def test_an_upgraded_ledger_is_worked_on_and_nothing_is_sent_twice(old_url: str) -> None:
    """A replay sends what the old version left, holds what is in doubt, and skips what was sent."""
    accounts = [account for account in BY_STATUS if account != "e"]
    async with open_store(old_url) as store:
        given = Given(store)
        lease = await given.a_lease("r3", source=SOURCE)
        assert lease.epoch == 2
        actions = await given.recorded(lease, routed(*accounts))
        assert [taken.action for taken in actions] == [
            Action.SKIP_REPLAY,
            Action.SEND,
            Action.HOLD,
            Action.SEND,
        ]
        assert actions[0].restated == {"arr": (FACTS["arr"], 10_211)}
        assert [entry.subject for entry in await given.pending(lease)] == ["b", "d"]
        await given.all_sent(lease)
        await given.finished("r3", alerts=len(accounts))
        lease = await given.a_lease("r4", source=SOURCE)
        again = await given.recorded(lease, routed(*accounts))
    assert Action.SEND not in {taken.action for taken in again}


async def test_support_is_not_notified_again_after_the_upgrade(old_url: str) -> None:
    """The accounts without a channel that an old version had in its last run are known."""
    async with open_store(old_url) as store:
        given = Given(store)
        lease = await given.a_lease("r3", source=SOURCE)
        last = await store.notices.last(lease.run_id)
    assert last is not None
    assert last.alert_ids == {IDS["b"]}


async def test_processes_that_upgrade_at_once_all_succeed(old_url: str) -> None:
    """Of several processes of the new version that start together one upgrades, and no row is lost."""
    await asyncio.to_thread(open_at_once, old_url)
    async with open_store(old_url) as store:
        assert len(await _contents(Given(store), "run_outcomes", "position")) == 4
