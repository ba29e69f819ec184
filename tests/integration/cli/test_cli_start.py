"""`serve` answers before it has loaded what only a run needs, and loads that aside."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from mock_slack.running import RunningMock
from tests.support.log_files import write_csv
from tests.support.log_runs import RULES as LOG_RULES
from tests.support.log_runs import burst
from tests.support.processes import ASKING, Running, environment, listening, started, unpaced
from tests.support.waiting import wait_until

RUNS_NEED: Final = {"numpy", "pyarrow", "aiohttp"}
ROUTES: Final = "service.api.routes"
UNASKED: Final = {
    "service.runs.execute",
    "service.jobs.unasked",
    "service.store.retention",
    "service.store.default_risk.companies",
    "service.store.default_risk.models",
    "service.default_risk.predictor",
}
SELDOM_NEEDED: Final = {
    "alembic",
    "asyncpg",
    "sqlalchemy.dialects.postgresql",
    "rich",
    "jwt",
    "argon2",
    "cryptography",
    "distributed",
    "aiosmtplib",
}


def _reported(running: Running, key: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        return next((event for event in running.events() if key in event), None)

    return wait_until(found, what=f"it reports what is {key}") or {}


def test_a_start_loads_nothing_that_only_a_run_needs(tmp_path: Path) -> None:
    """Until /health has answered, nothing of what evaluates, posts or works unasked; then all of it."""
    command = ("-m", "tests.support.starting", "serve", "--port", "0")
    with started(command, folder=tmp_path, env=unpaced(tmp_path)) as running:
        address = listening(running)
        report = _reported(running, "answered")
        later = _reported(running, "loaded")
        answered = set(report["answered"])
        assert ASKING.get(f"{address.url}/openapi.json").json()["paths"]
    assert {"fastapi", "sqlalchemy"} <= answered
    assert report["built"] == []
    assert {name for name in answered if name.startswith(f"{ROUTES}.")} == {f"{ROUTES}.health"}
    assert (RUNS_NEED | UNASKED | SELDOM_NEEDED) & answered == set()
    assert set(later["loaded"]) >= RUNS_NEED | {f"{ROUTES}.runs"}
    assert not {name for name in later["by_the_loop"] if name.split(".")[0] in RUNS_NEED}


def test_a_service_that_nobody_asks_works_all_the_same(tmp_path: Path) -> None:
    """Without a first answer to wait for it loads, and begins to resume and send, after two seconds."""
    command = ("-m", "tests.support.starting", "serve", "--port", "0")
    with started(command, folder=tmp_path, env=unpaced(tmp_path)) as running:
        assert set(_reported(running, "begun")["begun"]) >= UNASKED
        assert not any("answered" in event for event in running.events())


_PREVIEW: Final = """
import sys
from service.cli.main import main
period = ["--from", "2026-01-01", "--until", "2026-01-02"]
sys.argv = ["risk-alerts", "logs", "preview", "log.csv", *period, "--rules", "mobile.toml"]
try:
    main()
finally:
    print("loaded:", *sys.modules)
"""


def test_a_preview_of_a_log_loads_little(tmp_path: Path, slack: RunningMock) -> None:
    """Neither what sends, nor what NumPy loads for functions that something smaller can stand in for."""
    write_csv(tmp_path / "log.csv", burst(1, 4))
    (tmp_path / "mobile.toml").write_text(LOG_RULES)
    env = environment(**unpaced(tmp_path, SLACK_WEBHOOK_BASE_URL=slack.webhook_base_url))
    done = subprocess.run(
        [sys.executable, "-c", _PREVIEW], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert "1 alerts = 1 episodes" in done.stdout
    modules = set(done.stdout.partition("loaded:")[2].split())
    assert {"numpy", "pyarrow"} <= modules
    assert {"numpy.ma", "numpy.random", "aiohttp", "pandas", "fastapi"} & modules == set()


_THREADS: Final = """
import sys
from service.cli.main import main
sys.argv = ["risk-alerts", "--help"]
try:
    main()
except SystemExit:
    import numpy
    print(open("/proc/self/status").read())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted by /proc")
def test_numpy_starts_no_threads() -> None:
    """Those of its linear algebra, which nothing here needs, would spin for a while in every process."""
    done = subprocess.run([sys.executable, "-c", _THREADS], capture_output=True, text=True, check=True)
    assert "Threads:\t1\n" in done.stdout
