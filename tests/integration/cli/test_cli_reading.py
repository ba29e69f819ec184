"""Commands that only read: they write nothing, and load no more than they need."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from mock_slack.running import RunningMock
from service.store.schema.roles import role_sql
from service.store.schema.tables import NEWEST_REVISION
from tests.support.databases import PostgresqlServer
from tests.support.processes import command, environment, run_command, unpaced
from tests.support.rows import MONTH
from tests.support.waiting import wait_until


def _reads(source: str) -> list[tuple[tuple[str, ...], int]]:
    """Return the commands that only read, and their exit codes where there is no run."""
    return [
        (("preview", source, "--month", MONTH), 0),
        (("plan", source, "--month", MONTH), 0),
        (("runs",), 0),
        (("runs", "show", "20260101T000000-x"), 1),
    ]


def _found(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the files in a folder, each with the moment of its last change and its content."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_what_only_reads_makes_no_database(tmp_path: Path, source: str) -> None:
    """A missing database counts as an empty one, and neither it nor its folder is made."""
    url = f"sqlite:///{tmp_path / 'nowhere' / 'risk_alerts.db'}"
    before = tmp_path.stat().st_mtime_ns
    for arguments, code in _reads(source):
        done = command(tmp_path, *arguments, DATABASE_URL=url)
        assert done.returncode == code, done.stderr
        assert ("run_not_found" in done.stderr) == (code == 1)
    assert tmp_path.stat().st_mtime_ns == before


def test_what_only_reads_leaves_a_database_as_it_is(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """Its file, the log that a killed run left beside it, and the run that is still called running."""
    (ledger := tmp_path / "ledger").mkdir()
    env = unpaced(ledger, SLACK_WEBHOOK_BASE_URL=slack.webhook_base_url, SLACK_MESSAGES_PER_SECOND="1")
    with run_command(source, folder=tmp_path, env=env) as running:
        wait_until(lambda: slack.stats().total.accepted, what="one is sent")
        running.kill()
    assert {path.name for path in ledger.iterdir()} >= {"risk_alerts.db", "risk_alerts.db-wal"}
    before = _found(ledger)
    for arguments, _ in _reads(source):
        command(tmp_path, *arguments, **unpaced(ledger))
        after = _found(ledger)
        assert {name: after[name] for name in ("risk_alerts.db", "risk_alerts.db-wal")} == {
            name: before[name] for name in ("risk_alerts.db", "risk_alerts.db-wal")
        }
    listed = json.loads(command(tmp_path, "runs", "--json", **unpaced(ledger)).stdout)
    assert [run["status"] for run in listed["runs"]] == ["running"]


def test_a_ledger_in_order_is_left_without_a_trace(tmp_path: Path, source: str) -> None:
    """Not even a log of SQLite's stays beside a ledger that its last run has closed."""
    (ledger := tmp_path / "ledger").mkdir()
    assert command(tmp_path, "run", source, "--month", MONTH, "--dry-run", **unpaced(ledger)).returncode == 0
    before = _found(ledger)
    for arguments, _ in _reads(source):
        command(tmp_path, *arguments, **unpaced(ledger))
    assert _found(ledger) == before


def test_an_older_schema_is_refused_with_the_command_that_upgrades(tmp_path: Path, source: str) -> None:
    """Exit code 1 and `database_outdated`, in one line; `db upgrade` says what it did, and where."""
    assert command(tmp_path, "run", source, "--month", MONTH, "--dry-run").returncode == 0
    made = command(tmp_path, "db", "upgrade", "--json", DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}")
    assert json.loads(made.stdout) == {
        "database": str(tmp_path / "new.db"),
        "before": None,
        "after": NEWEST_REVISION,
    }
    with closing(sqlite3.connect(tmp_path / "risk_alerts.db")) as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '0001'")
        ledger.commit()
    before = _found(tmp_path)
    for arguments in (("runs",), ("preview", source, "--month", MONTH)):
        done = command(tmp_path, *arguments)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "database_outdated" in done.stderr
        assert "0001" in done.stderr
        assert "risk-alerts db upgrade" in done.stderr
    assert _found(tmp_path) == before


def test_the_owner_is_shown_what_to_grant(tmp_path: Path, postgresql_server: PostgresqlServer) -> None:
    """On PostgreSQL `db upgrade` prints the statements for the role that serves; SQLite has none."""
    url = postgresql_server.new(empty=True)
    done = command(tmp_path, "db", "upgrade", DATABASE_URL=url)
    first, _, granted = done.stdout.partition("\n-- For the role that serves, which is not the owner:\n")
    assert first.endswith(f"schema {NEWEST_REVISION}, created\n")
    assert granted.splitlines() == list(role_sql())
    assert "GRANT SELECT, INSERT ON audit TO risk_alerts_app;" in granted
    again = command(tmp_path, "db", "upgrade")
    assert "GRANT" not in again.stdout
    assert again.returncode == 0


def test_a_preview_loads_what_it_needs(tmp_path: Path, source: str) -> None:
    """With --json: no HTTP client, no migrations, no tables; a person waits for every import."""
    loaded = _loaded(tmp_path, "preview", source, "--month", MONTH, "--json")
    assert {"pyarrow", "sqlalchemy", "service.runs.preview"} <= loaded
    assert not {"aiohttp", "alembic", "rich", "fastapi", "sqlalchemy.dialects.postgresql"} & loaded
    assert not {"jwt", "argon2", "limits", "cryptography"} & loaded


def test_a_list_of_runs_needs_no_reader_of_files(tmp_path: Path) -> None:
    """`runs` asks the ledger alone, and nobody else for its tables."""
    loaded = _loaded(tmp_path, "runs")
    assert {"sqlalchemy", "rich"} <= loaded
    assert not {"aiohttp", "alembic", "numpy", "pyarrow"} & loaded


def test_a_plan_needs_no_database(tmp_path: Path, source: str) -> None:
    """`plan` reads footers."""
    loaded = _loaded(tmp_path, "plan", source, "--month", MONTH, "--json")
    assert "pyarrow" in loaded
    assert not {"aiohttp", "alembic", "rich", "sqlalchemy", "fastapi"} & loaded


# Without greenlet, as an installation without the extra `postgres` is.
_COMMAND_AND_MODULES = """
import sys
sys.modules["greenlet"] = None
from service.cli.main import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def _loaded(folder: Path, *arguments: str) -> set[str]:
    """Return the modules that a command has loaded by its end."""
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND_AND_MODULES, *arguments],
        cwd=folder,
        env=environment(**unpaced(folder)),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())
