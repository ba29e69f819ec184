"""`db copy` as a person calls it; what is copied and how is said in tests/conformance/test_copying.py."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.processes import command, forked, unpaced
from tests.support.rows import MONTH, account, write_source
from tests.support.waiting import wait_until


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """Return the URL of a ledger with one run of two alerts."""
    path = tmp_path / "accounts.parquet"
    write_source(path, [account(1), account(2)])
    url = f"sqlite:///{tmp_path}/old.db"
    done = command(tmp_path, "run", str(path), "--month", MONTH, "--dry-run", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    return url


def test_a_copy_says_how_much_there_was_and_is_a_ledger(tmp_path: Path, ledger: str) -> None:
    """Rows per table are on stdout, and the runs are found in the new place."""
    new = f"sqlite:///{tmp_path}/new.db"
    done = command(tmp_path, "db", "copy", ledger, new)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["runs", "1"] in lines
    assert ["run_outcomes", "2"] in lines
    assert lines[-1] == ["copied", "and", "compared", str(sum(int(line[1]) for line in lines[:-1]))]
    listed = [
        json.loads(command(tmp_path, "runs", "--json", DATABASE_URL=url).stdout)["runs"]
        for url in (ledger, new)
    ]
    assert listed[0] == listed[1] != []


def test_urls_may_come_from_the_environment(tmp_path: Path, ledger: str) -> None:
    """`env:NAME` keeps a password out of the list of processes."""
    new = tmp_path / "new.db"
    done = command(tmp_path, "db", "copy", "env:OLD", "env:NEW", OLD=ledger, NEW=f"sqlite:///{new}")
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(new)) as copied:
        assert copied.execute("SELECT count(*) FROM runs").fetchall() == [(1,)]


def test_a_refusal_is_1_and_quotes_no_url(tmp_path: Path, ledger: str) -> None:
    """The second copy into the same place is refused by name; a server that is away keeps its password."""
    new = f"sqlite:///{tmp_path}/new.db"
    assert command(tmp_path, "db", "copy", ledger, new).returncode == 0
    again = command(tmp_path, "db", "copy", ledger, new)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert again.stderr.startswith("risk-alerts: database_unusable: TO is not empty: ")
    away = command(tmp_path, "db", "copy", ledger, "env:NEW", NEW="postgresql://u:canary@127.0.0.1:1/d")
    assert away.returncode == 1
    assert away.stderr.startswith("risk-alerts: database_unusable: TO: ")
    assert "canary" not in away.stdout + away.stderr


def test_a_variable_that_is_not_set_is_64(tmp_path: Path, ledger: str) -> None:
    """The command is wrong, and nothing is opened."""
    done = command(tmp_path, "db", "copy", ledger, "env:NOT_SET")
    assert done.returncode == 64
    assert "NOT_SET is not set" in done.stderr


def test_the_first_interruption_stops_a_copy(tmp_path: Path, ledger: str) -> None:
    """From SQLite to SQLite nothing returns to the event loop: Ctrl-C does not wait for that."""
    with closing(sqlite3.connect(tmp_path / "old.db")) as database:
        database.execute(
            "INSERT INTO attempts (alert_id, claim, run_id, claimed_at, settled_at, status) "
            "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 200000) "
            "SELECT printf('%032x', n), 1, 'r', '2026-01-01 00:00:00', '2026-01-01 00:00:00', 'sent' "
            "FROM many"
        )
        database.commit()
    new = tmp_path / "new.db"
    arguments = ("db", "copy", ledger, f"sqlite:///{new}")
    with forked(arguments, folder=tmp_path, env=unpaced(tmp_path)) as running:
        wait_until(lambda: Path(f"{new}-journal").exists() or Path(f"{new}-wal").exists(), what="it copies")
        running.process.send_signal(signal.SIGINT)
        assert running.exit_code() == 1
    assert running.log.read_text().splitlines()[-1] == "risk-alerts: stopped: nothing was copied"
    with closing(sqlite3.connect(new)) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
