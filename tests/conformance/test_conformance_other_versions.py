"""What another version of the service wrote down: it never ends a read, and is never sent."""

from typing import Final

import orjson
import pytest

from service.account_risk.row_ledger import InvalidRow
from service.api.schemas.evaluation import LedgerOut
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.run import Action, RunStatus
from service.store.store import Store
from tests.support.alerts import MONTH
from tests.support.given import SOURCE, Given, an_evaluation, routed, scope_of

NEWER: Final = "newer"
SAMPLE: Final = {"reason": NEWER, "file": "f", "account_id": None, "month": None}


async def _a_run_with_an_alert(given: Given) -> str:
    """Record a run with one alert and a withdrawn one, and return the alert's id."""
    await given.a_recorded("r0", routed("gone"))
    await given.finished("r0", alerts=1)
    lease = await given.a_lease("r1")
    (alert,) = routed("a")
    await given.recorded(lease, [alert])
    return alert.alert.alert_id


async def _read_everything(store: Store, alert_id: str) -> None:
    await store.history.list_runs(limit=10, period=str(MONTH))
    await store.history.get_run("r1")
    await store.history.list_alerts("r1", limit=10)
    await store.history.list_withdrawn("r1", limit=10)
    await store.recording.standings(scope_of(MONTH), SOURCE)
    await store.recording.withdrawable([alert_id])
    await store.history.get_alert(alert_id)
    await store.outbox.undelivered()
    await store.requests.end_of("r1")


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("outbox", {"error": NEWER}),
        ("outbox", {"status": NEWER}),
        ("run_outcomes", {"outcome": NEWER}),
        ("run_outcomes", {"outcome": "failed", "reason": NEWER}),
        ("run_outcomes", {"restated": '{"arr": [1, 2], "newer": [1, 2]}'}),
        ("run_withdrawals", {"status": NEWER}),
        ("runs", {"status": NEWER, "error": NEWER, "error_detail": NEWER}),
        ("runs", {"outcome_counts": '{"newer": 1}'}),
        ("runs", {"progress": '{"phase": "newer", "newer": 1}'}),
        ("runs", {"warnings": '[{"code": "newer", "count": 1, "detail": "d", "newer": 1}]'}),
        ("runs", {"invalid_samples": orjson.dumps([SAMPLE | {"newer": 1}]).decode()}),
    ],
)
async def test_no_word_of_a_newer_version_ends_a_read(
    given: Given, table: str, values: dict[str, str]
) -> None:
    """Reasons, outcomes, statuses, phases, codes and fields that this version does not know are read."""
    alert_id = await _a_run_with_an_alert(given)
    changes = ", ".join(f"{name} = :{name}" for name in values)
    await given.sql(f"UPDATE {table} SET {changes}", **values)  # noqa: S608  # our own names
    await _read_everything(given.store, alert_id)


async def test_a_settlement_of_a_newer_version_is_left_out(given: Given) -> None:
    """An alert that a person settled in a way that this version does not know can be looked at."""
    alert_id = await _a_run_with_an_alert(given)
    await given.sql(
        "INSERT INTO doubt_settlements (alert_id, claim, run_id, settled_as, settled_by, settled_at)"
        " SELECT id, 1, 'r1', 'newer', 'ann', updated_at FROM outbox WHERE id = :id",
        id=alert_id,
    )
    assert (await given.store.history.get_alert(alert_id)).settled == ()


async def test_what_cannot_be_named_is_said_so(given: Given) -> None:
    """An unknown outcome is in doubt, an unknown reason is `other`, an unknown end of a run is a failure."""
    await _a_run_with_an_alert(given)
    await given.finished("r1", alerts=1)
    await given.sql("UPDATE run_outcomes SET outcome = 'newer', reason = NULL WHERE run_id = 'r1'")
    await given.sql("UPDATE runs SET status = 'newer' WHERE run_id = 'r1'")
    (alert,) = (await given.outcomes("r1")).values()
    assert (alert.outcome, alert.reason) == (Outcome.UNKNOWN, Reason.OTHER)
    assert (await given.store.history.get_run("r1")).status is RunStatus.FAILED


async def test_rows_refused_for_a_newer_reason_keep_the_ledger_balanced(given: Given) -> None:
    """Every reason that this version does not know counts as `other`."""
    await given.a_run("r1")
    await given.store.runs.note_evaluation("r1", an_evaluation(2))
    (row,) = await given.sql("SELECT row_ledger FROM runs")
    ledger = orjson.loads(row["row_ledger"])
    ledger |= {"duplicates": 0, "invalid": {"month_null": 1, "newer": 1, "newest": 0}, "newer": 5}
    await given.sql("UPDATE runs SET row_ledger = :text", text=orjson.dumps(ledger).decode())
    found = (await given.store.history.get_run("r1")).ledger
    assert found is not None
    shown = LedgerOut.of(found)
    assert shown.invalid == {InvalidRow.MONTH_NULL: 1, InvalidRow.OTHER: 1}
    assert shown.rows_scanned == sum(shown.invalid.values()) + shown.account_months


@pytest.mark.parametrize(("column", "resend"), [("status", False), ("status", True), ("error", True)])
async def test_what_a_newer_version_calls_otherwise_is_held(
    given: Given, column: str, *, resend: bool
) -> None:
    """Whatever `AMBIGUOUS_SENDS` says: whether Slack has such an alert only the newer version knows."""
    await _a_run_with_an_alert(given)
    await given.finished("r1", alerts=1)
    await given.sql("UPDATE outbox SET status = 'unknown'")
    await given.sql(f"UPDATE outbox SET {column} = 'newer'")  # noqa: S608  # our own names
    lease = await given.a_lease("r2")
    (taken,) = await given.recorded(lease, routed("a"), resend=resend)
    assert (taken.action, taken.reason) == (Action.HOLD, Reason.OTHER)
    assert await given.pending(lease) == []
    row = await given.row_of("a")
    assert row[column] == NEWER
    assert row["status"] in {NEWER, DeliveryStatus.UNKNOWN}
