"""SIGKILL at every boundary of a run over a log: started again, it leaves what an unkilled one leaves."""

import signal
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from mock_slack.running import RunningMock
from tests.support.failing import LOG_FAIL_POINTS
from tests.support.log_files import LogRow, write_csv
from tests.support.processes import started
from tests.support.site import PATIENT, SENDERS, Site, accepted_by

pytestmark = pytest.mark.fault

MIDNIGHT: Final = datetime(2026, 1, 2, tzinfo=UTC)
RULES: Final = Path(__file__).parents[2] / "log_rules.toml"
SENT: Final = 7
"""Messages of the second day: of each rule the burst over midnight, four groups at noon, one at the end."""
BEFORE_RECORDING: Final = (*LOG_FAIL_POINTS, "before_record", "before_alert_event")
AFTER_RECORDING: Final = (
    *("after_record", "after_claim", "before_post", "after_answer", "before_settle", "after_settle"),
    *("before_finish", "after_finish"),
)
STATE: Final[Mapping[str, str]] = {
    "alerts": "SELECT id, subject, status, resolution_reason, began, last_period, evaluated_period, "
    "last_seen, version FROM alerts ORDER BY id",
    "events": "SELECT alert_id, number, event, from_status, to_status, reason, occurrence_id, period "
    "FROM alert_events ORDER BY alert_id, number",
    "checkpoints": "SELECT lease, until, begins, digest, follows, content FROM checkpoints ORDER BY until",
    "outbox": "SELECT id, alert_id, period, facts, channel FROM outbox ORDER BY id",
    "ledger": "SELECT row_ledger, withdrawn, restated FROM runs WHERE status = 'succeeded' "
    "ORDER BY started_at DESC LIMIT 1",
}


def at(minutes: float, bundle: str) -> LogRow:
    """Return an error so long after midnight."""
    return {
        "severity": "fatal",
        "bundle_id": bundle,
        "date": (MIDNIGHT + timedelta(minutes=minutes)).isoformat(),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a log: a burst that goes on over midnight, one over midnight, some at noon, one at its end."""
    folder = tmp_path_factory.mktemp("logs")
    rows = [at(number - 30, "com.lasts") for number in range(40)]
    rows += [at((number - 6) / 20, "com.midnight") for number in range(12)]
    rows += [at(720 + number, f"com.{group}") for group in range(4) for number in range(11)]
    rows += [at(1430 + number / 2, "com.open") for number in range(12)]
    write_csv(folder / "log.csv", sorted(rows, key=lambda row: row["date"]))
    return folder


@pytest.fixture(scope="module")
def unkilled(folder: Path, one_slack: RunningMock) -> dict[str, Any]:
    """Return what the two days leave when nobody kills them; the ledger after the first is kept aside."""
    site = Site(folder=folder, webhook_base_url=one_slack.webhook_base_url)
    _run(site, day=0)
    _copy(site.database, folder / "first.db")
    one_slack.reset()
    _run(site, day=1)
    assert len(one_slack.records()) == SENT
    return _state(site)


@pytest.fixture
def killed(folder: Path, unkilled: dict[str, Any], slack: RunningMock) -> Site:
    """Return the site after the first day."""
    del unkilled
    site = Site(folder=folder, webhook_base_url=slack.webhook_base_url)
    for left in folder.glob("ledger.db*"):
        left.unlink()
    _copy(folder / "first.db", site.database)
    return site


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        *((point, 1) for point in (*BEFORE_RECORDING, *AFTER_RECORDING)),
        # After the new alerts, before the event of one that ends; and in the middle of the deliveries.
        *(("before_alert_event", SENT + 1), ("after_settle", 2), ("before_post", 6), ("after_answer", 6)),
    ],
)
def test_a_kill_at_every_boundary_of_a_log_run(
    killed: Site, slack: RunningMock, unkilled: dict[str, Any], point: str, nth: int
) -> None:
    """The same alerts, events, checkpoints and ledger; nothing is sent twice, and nothing is forgotten."""
    before = _state(killed)
    with started(
        ("-m", "tests.support.failing", point, str(nth), *_command(killed, day=1)), **_of(killed)
    ) as run:
        assert run.exit_code() == -signal.SIGKILL, run.log.read_text()
    if point in BEFORE_RECORDING:
        assert _state(killed) == before
        assert slack.records() == []
    killed.expire_leases()
    _run(killed, day=1)
    assert _state(killed) == unkilled
    statuses = killed.statuses()
    in_doubt = {alert for alert, status in statuses.items() if status == "unknown"}
    assert set(statuses.values()) <= {"sent", "unknown"}
    assert len(in_doubt) <= (0 if point in BEFORE_RECORDING else SENDERS)
    accepted = accepted_by(slack)
    assert set(accepted.values()) <= {1}, "an alert was accepted twice"
    assert set(_alerts_of_second_day(killed)) - in_doubt <= accepted.keys()


def _command(site: Site, *, day: int) -> tuple[str, ...]:
    since = MIDNIGHT + timedelta(days=day - 1)
    period = ("--from", since.isoformat(), "--until", (since + timedelta(days=1)).isoformat())
    return ("logs", "run", str(site.folder / "log.csv"), "--rules", str(RULES), *period)


def _of(site: Site) -> dict[str, Any]:
    return {"folder": site.folder, "env": site.env(**PATIENT)}


def _run(site: Site, *, day: int) -> None:
    with started(("-m", "service", *_command(site, day=day)), **_of(site)) as run:
        assert run.exit_code() in {0, 2}, run.log.read_text()


def _state(site: Site) -> dict[str, Any]:
    return {name: site.rows(query) for name, query in STATE.items()}


def _alerts_of_second_day(site: Site) -> list[str]:
    since = MIDNIGHT.isoformat()[:10]
    return [alert for (alert,) in site.rows(f"SELECT id FROM outbox WHERE period >= '{since}'")]  # noqa: S608  # our own words


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as ledger, closing(sqlite3.connect(target)) as copy:
        ledger.backup(copy)
