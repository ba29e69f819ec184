"""`db prune`, and the service that prunes by itself."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.domain.errors import DatabaseUnusableError, SourceNotFoundError
from service.domain.run import RunError
from service.runs import sweep
from service.store.database.failures import DatabaseBusyError
from service.store.retention import Retention
from service.store.store import open_store
from tests.support.given import NOW, Given
from tests.support.house import House
from tests.support.processes import command
from tests.support.rows import MONTH, accounts
from tests.support.waiting import until

FAILING = 200


def _age(path: Path) -> None:
    """Let everything in a ledger be two years older."""
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute("UPDATE runs SET started_at = datetime(started_at, '-2 years')")
        ledger.execute("UPDATE attempts SET settled_at = datetime(settled_at, '-2 years')")


def _count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as ledger:
        return int(ledger.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # our own names


async def _old_ledger(house: House) -> str:
    """Let a run send, another fail, and two years go by; return the source."""
    source = house.source(accounts(3))
    async with house.open() as desk:
        await desk.run(source)
        with pytest.raises(SourceNotFoundError):
            await desk.run("file:///nowhere.parquet")
    _age(house.database)
    return source


async def test_a_service_prunes_by_itself(house: House) -> None:
    """It starts with it, goes on after a failure, keeps the run that sent, and the next run sends nothing."""
    source = await _old_ledger(house)
    async with house.open(resumes=True) as desk:
        await until(lambda: _count(house.database, "runs") == 1, what="the failed run is gone")
        await until(lambda: _count(house.database, "attempts") == 0, what="the attempts are gone")
        assert (await desk.run(source)).counts.skipped_replay == 3


async def test_a_failure_is_logged_and_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that cannot be written to ends neither the service nor its pruning."""
    prune, failures = Retention.prune, [DatabaseUnusableError("full"), DatabaseBusyError("busy")]

    async def sometimes(self: Retention, **kwargs: object) -> dict[str, int]:
        if failures:
            raise failures.pop()
        return await prune(self, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Retention, "prune", sometimes)
    monkeypatch.setattr(sweep, "PRUNE_EVERY_S", 5.0)
    await _old_ledger(house)
    async with house.open(resumes=True):
        await until(lambda: _count(house.database, "runs") == 1, what="the failed run is gone")


async def test_young_runs_stay(house: House) -> None:
    """The setting says how old is old."""
    await _old_ledger(house)
    async with house.open(keep_runs_days=1000) as desk:
        assert await sweep.prune(desk.app) == {}


def test_the_command_says_what_it_deleted(tmp_path: Path) -> None:
    """How many rows of which table, for people and as JSON; once done there is nothing left to do."""
    for _ in range(2):
        assert command(tmp_path, "run", "/nowhere.parquet", "--month", MONTH, "--dry-run").returncode == 3
    ledger = next(tmp_path.glob("**/*.db"))
    _age(ledger)
    done = command(tmp_path, "db", "prune", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"removed": {"runs": 2}})
    again = command(tmp_path, "db", "prune")
    assert (again.returncode, again.stdout.split()) == (0, ["deleted", "0"])


async def test_failing_requests_do_not_grow_the_database(tmp_path: Path) -> None:
    """Runs that fail over long addresses leave room that the next ones use."""
    sizes: list[int] = []
    path = tmp_path / "x.db"
    async with open_store(f"sqlite:///{path}") as store:
        given = Given(store)
        for round_ in range(3):
            for number in range(FAILING):
                run_id = f"r{round_ * FAILING + number}"
                await given.a_run(run_id, source=f"file:///{'x' * 4000}")
                await given.finished(run_id, error=RunError(code="source_not_found", detail="x" * 4000))
            while await store.retention.prune(before=NOW.replace(year=NOW.year + 1)):
                pass
            await given.sql("SELECT 1")
            sizes.append(_count(path, "runs"))
            sizes.append(path.stat().st_size)
    assert sizes[::2] == [0, 0, 0]
    assert sizes[5] <= sizes[3] * 1.1
