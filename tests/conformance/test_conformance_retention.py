"""Retention: what is old goes in small steps, and replays do as they did before."""

from collections import Counter
from datetime import timedelta

import pytest

from service.domain.run import Action, RunError
from service.domain.tenant import DEFAULT_TENANT
from service.store import retention
from service.store.store import Store
from tests.support.alerts import MONTH
from tests.support.given import NOW, Given, routed, scope_of, the_answer

LONG_AFTER = NOW + timedelta(days=1)
"""Everything here is older than this."""


async def _pruned(store: Store) -> Counter[str]:
    removed: Counter[str] = Counter()
    while step := await store.retention.prune(before=LONG_AFTER):
        removed.update(step)
    return removed


async def _runs(given: Given) -> list[str]:
    return [row["run_id"] for row in await given.sql("SELECT run_id FROM runs ORDER BY run_id")]


async def _a_month_of_everything(given: Given) -> None:
    """Make runs that sent, failed, replayed and rehearsed, and one alert in each state that can stay."""
    first, _ = await given.a_recorded(
        "r1", [*routed("sent", "gone", "failing"), *routed("nowhere", channel=None)]
    )
    entries = {entry.subject: entry for entry in await given.pending(first)}
    await given.claimed(first, [entries["sent"]])
    await given.settled(first, the_answer(entries["sent"]))
    await given.finished("r1", alerts=4)
    await given.a_run("r2")
    await given.finished("r2", error=RunError(code="source_not_found", detail="x" * 4096))
    await given.a_recorded("r3", routed("sent", "failing"))
    await given.finished("r3", alerts=2)
    await given.a_run("r4", dry_run=True)
    await given.finished("r4", error=RunError(code="source_not_found", detail="no file"))
    await given.a_recorded("r5", routed("sent", "failing"))
    await given.finished("r5", alerts=2)


async def test_runs_that_the_outbox_does_not_name_go(given: Given) -> None:
    """Runs that failed, rehearsed or only replayed are deleted with all their rows, and the others stay."""
    await _a_month_of_everything(given)
    removed = await _pruned(given.store)
    assert await _runs(given) == ["r1", "r5"]
    assert removed == {"runs": 3, "run_outcomes": 2, "run_withdrawals": 2, "attempts": 1}
    for table in ("run_outcomes", "run_withdrawals"):
        left = await given.sql(f"SELECT DISTINCT run_id FROM {table}")  # noqa: S608  # our own names
        assert {row["run_id"] for row in left} <= {"r1", "r5"}
    assert (await given.store.history.get_run("r1")).counts.alerts_sent == 1
    assert {name: item.attempts for name, item in (await given.outcomes("r1")).items()} == {
        "sent": 1,
        "gone": 0,
        "failing": 0,
        "nowhere": 0,
    }
    assert await _pruned(given.store) == {}


async def test_a_replay_does_as_it_did_before(given: Given) -> None:
    """What was sent is skipped, what was not is sent, what is gone is withdrawn: pruned or not."""
    await _a_month_of_everything(given)
    before = await given.store.recording.standings(scope_of(MONTH), "file:///january.parquet")
    await _pruned(given.store)
    assert await given.store.recording.standings(scope_of(MONTH), "file:///january.parquet") == before
    lease = await given.a_lease("r6")
    actions = await given.recorded(lease, routed("sent", "new"))
    assert [taken.action for taken in actions] == [Action.SKIP_REPLAY, Action.SEND]
    assert await given.status_of("failing") == "withdrawn"


async def test_what_is_young_stays(given: Given) -> None:
    """Nothing that began, or was posted, since then is touched."""
    await _a_month_of_everything(given)
    assert await given.store.retention.prune(before=NOW - timedelta(days=1)) == {}


async def test_a_run_at_work_keeps_what_it_counts(given: Given) -> None:
    """However long ago it began: neither the run nor its attempts go while it is running."""
    lease, _ = await given.a_recorded("r1", routed("a"))
    await given.all_sent(lease)
    assert await _pruned(given.store) == {}
    assert (await given.outcomes("r1"))["a"].attempts == 1


async def test_keys_that_are_free_again_go(given: Given) -> None:
    """A key that was used more than a day ago names nothing any more."""
    key = {"tenant_id": DEFAULT_TENANT, "request_hash": "x", "run_id": "r"}
    for name, created_at in (("old", 0.0), ("held", 1e11)):
        await given.sql(
            "INSERT INTO idempotency_keys (tenant_id, key, request_hash, run_id, created_at)"
            " VALUES (:tenant_id, :key, :request_hash, :run_id, :created_at)",
            **key,
            key=name,
            created_at=created_at,
        )
    assert await _pruned(given.store) == {"idempotency_keys": 1}


async def test_a_step_is_short(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction deletes more than so many rows, whoever's they are, and no run goes before its rows."""
    monkeypatch.setattr(retention, "MOST_ROWS", 5)
    accounts = [f"a{number}" for number in range(12)]
    for run_id in ("r1", "r2"):
        await given.a_recorded(run_id, routed(*accounts))
        await given.finished(run_id, alerts=12)
    await given.a_run("r3")
    await given.finished("r3", error=RunError(code="source_not_found", detail="no file"))
    steps: list[int] = []
    while step := await given.store.retention.prune(before=LONG_AFTER):
        steps.append(sum(step.values()))
        orphans = await given.sql("SELECT 1 FROM run_outcomes WHERE run_id NOT IN (SELECT run_id FROM runs)")
        assert orphans == []
    assert await _runs(given) == ["r2"]
    assert steps == [5, 5, 4]
