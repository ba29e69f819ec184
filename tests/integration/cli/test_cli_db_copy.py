"""`db copy` as a person calls it; what is copied and how is said in tests/conformance/test_copying.py."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.processes import command
from tests.support.rows import MONTH, account, write_source


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
    assert lines[-1] == ["copied", "and", "compared", "3"]
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
