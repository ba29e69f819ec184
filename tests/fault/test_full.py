"""Full disks, databases and tables of descriptors under a run: nothing is lost or sent twice."""

import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.account_risk.kind import month_request
from service.domain.errors import DatabaseUnusableError
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.runs.execute import execute_run, new_run_id
from service.settings import Settings
from service.store.database.database import BUSY_TIMEOUT_S
from service.wiring import open_app
from tests.support.processes import Running, run_command, started
from tests.support.rows import MONTH
from tests.support.site import AMER, PATIENT, SENDERS, Site, accepted_by
from tests.support.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.fault


def _fill_disk(run: Running, site: Site) -> None:
    """Let no file of the process grow beyond what the database's log has now."""
    log = site.database.with_name(site.database.name + "-wal")
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))


def test_a_disk_that_fills_up_under_a_run(site: Site, slack: RunningMock) -> None:
    """The run ends with `database_unusable`; the next one, with room again, does the rest."""
    slack.script(AMER, Step(delay_s=0.05, times=1_000))
    with run_command(site.source, folder=site.folder, env=site.env()) as run:
        wait_until(lambda: slack.stats().total.requests >= 8, what="some have left")
        _fill_disk(run, site)
        assert run.exit_code() == 1
    left = slack.stats().total.requests
    assert left < site.count
    finished = site.run()
    assert finished["status"] == "succeeded"
    site.assert_sound(accepted_by(slack), doubts=SENDERS)


def test_a_disk_that_is_full_for_a_moment_leaves_no_doubt(site: Site, slack: RunningMock) -> None:
    """What was answered is written once there is room again, so that the next run knows all."""
    slack.script(AMER, Step(delay_s=0.05, times=1_000))
    with run_command(site.source, folder=site.folder, env=site.env(**PATIENT)) as run:
        wait_until(lambda: slack.stats().total.requests >= 8, what="some have left")
        _fill_disk(run, site)
        wait_until(lambda: _stands_still(slack), what="nothing leaves any more")
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert run.exit_code() == 1
    assert site.runs() == [("failed", "database_unusable")]
    left = site.count - slack.stats().total.accepted
    assert site.run()["alerts_sent"] == left > 0
    site.assert_sound(accepted_by(slack), doubts=0)


def _stands_still(slack: RunningMock) -> bool:
    before = slack.stats().total.requests
    threading.Event().wait(0.5)
    return slack.stats().total.requests == before


def test_a_run_without_a_descriptor_left_waits_for_one(site: Site, slack: RunningMock) -> None:
    """While this machine lets it open no connection nothing is sent, failed or doubted; then it goes on."""
    slack.script(AMER, Step(delay_s=0.05, headers={"Connection": "close"}, times=1_000))
    with run_command(site.source, folder=site.folder, env=site.env(**PATIENT)) as run:
        wait_until(lambda: slack.stats().total.requests >= 8, what="some have left")
        limits = resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        wait_until(lambda: _stands_still(slack), what="nothing leaves any more")
        held_back = slack.stats().total.requests
        threading.Event().wait(12)  # longer than the retries of one alert
        assert slack.stats().total.requests == held_back
        resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE, limits)
        assert run.exit_code() == 0, run.log.read_text()
    assert site.runs() == [("succeeded", None)]
    site.assert_sound(accepted_by(slack), doubts=0)


async def test_a_database_that_reaches_its_limit(
    site: Site, slack: RunningMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own `full` under the recording of the alerts: nothing leaves, and the error says why."""
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite:///{site.database}",
        slack_webhook_base_url=slack.webhook_base_url,
        slack_messages_per_second=0,
    )
    async with open_app(settings):
        pass
    with closing(sqlite3.connect(site.database)) as ledger:
        (pages,) = ledger.execute("PRAGMA page_count").fetchone()
    request = month_request(SourceUri.parse(site.source), Month.parse(MONTH))
    with _limited(monkeypatch, pages + 5):
        async with open_app(settings) as app:
            with pytest.raises(DatabaseUnusableError, match="full"):
                await execute_run(app, request, run_id=new_run_id(app.clock.now()), progress=Progress())
    assert slack.stats().total.requests == 0
    async with open_app(settings) as app:
        record = await execute_run(app, request, run_id=new_run_id(app.clock.now()), progress=Progress())
    assert record.counts.alerts_sent == site.count


@contextmanager
def _limited(monkeypatch: pytest.MonkeyPatch, pages: int) -> Iterator[None]:
    """Let every connection that is opened meanwhile take the database for full at `pages` pages."""
    connect = sqlite3.connect

    def limited(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", limited)
        patch.setattr(sqlite3.dbapi2, "connect", limited)
        yield


def test_a_database_locked_beyond_the_busy_timeout(site: Site, slack: RunningMock) -> None:
    """While no outcome can be written nothing is sent; then the run goes on as if nothing had been."""
    slack.script(AMER, Step(delay_s=0.1, times=1_000))
    with run_command(site.source, folder=site.folder, env=site.env(slack_timeout_s=5, lease_s=60)) as run:
        wait_until(lambda: slack.stats().total.requests >= 8, what="some have left")
        with closing(sqlite3.connect(site.database, timeout=PATIENCE_S, isolation_level=None)) as neighbour:
            neighbour.execute("BEGIN IMMEDIATE")
            wait_until(lambda: _stands_still(slack), what="nothing leaves any more")
            held_back = slack.stats().total.requests
            threading.Event().wait(BUSY_TIMEOUT_S + 2)
            assert slack.stats().total.requests == held_back
            neighbour.execute("ROLLBACK")
        assert run.exit_code() == 0
    assert site.runs() == [("succeeded", None)]
    site.assert_sound(accepted_by(slack), doubts=0)


_BUSY_WRITER = """
import random, sqlite3, sys, time
chance = random.Random(7)
ledger = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
while True:
    ledger.execute("BEGIN IMMEDIATE")
    time.sleep(chance.uniform(0.02, 0.25))
    ledger.execute("ROLLBACK")
    time.sleep(chance.uniform(0.0, 0.05))
"""


def test_a_database_that_somebody_else_keeps_busy(site: Site, slack: RunningMock) -> None:
    """A neighbour that holds the write lock most of the time slows a run down and does nothing worse."""
    site.run(region_channels='{"EMEA": "emea"}')  # so that there is a database
    with started(("-c", _BUSY_WRITER, str(site.database)), folder=site.folder, env={}):
        finished = site.run(**PATIENT)
    assert finished["alerts_sent"] == site.count
    site.assert_sound(accepted_by(slack), doubts=0)
