"""SIGKILL and SIGSTOP in the middle of a bulk job: another instance goes on, and each row is there once."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from mock_slack.running import RunningMock
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import open_store
from tests.support.companies import csv_bytes
from tests.support.databases import Backend
from tests.support.given import NOW
from tests.support.jobs import rows_of
from tests.support.people import all_seeing
from tests.support.processes import ASKING, Running, mock_process, service, unpaced
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

ROWS: Final = 30_000
"""Of eight batches."""
SICK: Final = {
    "long_term_debt_to_total_capital": "95",
    "total_debt_to_ebitda": "-8",
    "net_income_margin": "-60",
    "ebit_to_interest_expense": "-6",
    "return_on_assets": "-40",
}
"""Ratios of a company that the model which comes with the service takes for lost."""


def env_of(folder: Path, database_url: str | None = None) -> dict[str, str]:
    """Return the settings of an instance whose job is taken over soon."""
    others = {} if database_url is None else {"DATABASE_URL": database_url}
    return unpaced(folder, LEASE_S="3", SLACK_TIMEOUT_S="1", LIMIT_CHANGES="1000/minute", **others)


def uploaded(running: Running, rows: Sequence[dict[str, str]] | None = None) -> str:
    """Upload the file and return the job's id."""
    path = f"{running.url}/api/v1/predictions/annual/bulk"
    answer = ASKING.post(
        path, files={"file": ("companies.csv", csv_bytes(rows or rows_of(ROWS)))}, timeout=60
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["id"])


def asked(running: Running, job_id: str) -> dict[str, Any]:
    """Return the job as an instance sees it."""
    answer = ASKING.get(f"{running.url}/api/v1/jobs/{job_id}", timeout=60)
    data: dict[str, Any] = answer.json()["data"]
    return data


def at_work(running: Running, job_id: str, rows: int) -> None:
    """Wait until so many rows are stored, and not all."""
    wait_until(lambda: ROWS > asked(running, job_id)["rows"]["done"] >= rows, what=f"{rows} rows are stored")


def ended(running: Running, job_id: str) -> None:
    """Wait until the job has ended; every row must be there."""
    wait_until(lambda: asked(running, job_id)["finished_at"] is not None, what="the job ends")
    job = asked(running, job_id)
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert job["rows"] == {
        "total": ROWS,
        "done": ROWS,
        "scored": ROWS,
        "abstained": 0,
        "duplicate": 0,
        "invalid": 0,
    }


@pytest.mark.parametrize("kills", [1, 3])
def test_killed_instances_are_replaced(backend: Backend, tmp_path: Path, kills: int) -> None:
    """Each is killed a few batches after it went on; the last one brings the job to its end."""
    url = backend.new()
    job_id = ""
    for number in range(kills):
        with service(tmp_path, env_of(tmp_path, url)) as running:
            job_id = job_id or uploaded(running)
            at_work(running, job_id, 1 + number * 8_192)
            running.kill()
    with service(tmp_path, env_of(tmp_path, url)) as running:
        ended(running, job_id)


def test_a_frozen_instance_is_overtaken_and_stores_nothing_more(tmp_path: Path) -> None:
    """It thaws after another one has brought its job to an end, and is refused."""
    with service(tmp_path, env_of(tmp_path)) as frozen, service(tmp_path, env_of(tmp_path)) as other:
        job_id = uploaded(frozen)
        at_work(frozen, job_id, 1)
        frozen.freeze_between_transactions(tmp_path / "risk_alerts.db")
        wait_until(lambda: asked(other, job_id)["finished_at"] is not None, what="the other one ends it")
        frozen.thaw()
        ended(other, job_id)
        ended(frozen, job_id)
    with closing(sqlite3.connect(tmp_path / "risk_alerts.db")) as ledger:
        query = "SELECT count(*), count(DISTINCT company_id) FROM predictions"
        assert ledger.execute(query).fetchone() == (ROWS, ROWS)
        assert ledger.execute("SELECT count(*), max(number) FROM job_rows").fetchone() == (ROWS, ROWS + 1)
        assert ledger.execute("SELECT count(*) FROM job_uploads").fetchone() == (0,)


def test_very_many_at_high_risk_are_one_message_whoever_is_killed(backend: Backend, tmp_path: Path) -> None:
    """Killed at work, when the job has ended, and when that is reported: one digest, and no other message."""
    url = backend.new()
    asyncio.run(with_channel(url))
    rows = [row if place % 10 else row | SICK for place, row in enumerate(rows_of(ROWS))]
    with mock_process(tmp_path) as (slack, _):
        silent = env_of(tmp_path, url)
        env = silent | {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url}
        with service(tmp_path, env) as running:
            job_id = uploaded(running, rows)
            at_work(running, job_id, 8_192)
            running.kill()
        assert slack.records() == []
        # One that cannot send brings it to its end, so that it does not die with a message on its way.
        with service(tmp_path, silent) as running:
            wait_until(lambda: asked(running, job_id)["finished_at"] is not None, what="the job ends")
            running.kill()
        with service(tmp_path, env) as running:
            wait_until(lambda: messages(slack), what="the digest arrives")
            ended(running, job_id)
            running.kill()
        with service(tmp_path, env) as running:
            again = uploaded(running, rows)
            wait_until(lambda: asked(running, again)["finished_at"] is not None, what="the replay ends")
            wait_until(lambda: undelivered(running) == 0, what="nothing waits")
        assert messages(slack) == [f"🏦 High default risk: {ROWS // 10:,} companies (companies.csv)"]


async def with_channel(url: str) -> None:
    """Make the tenant's only organisation, which reports its companies at high risk."""
    async with open_store(url) as store:
        places = all_seeing(store).access.organizations
        made = await places.create(DEFAULT_TENANT, name="Lending", code="lending", now=NOW)
        await places.update(made.id, now=NOW, default_risk_channel="credit-risk")


def messages(slack: RunningMock) -> list[str]:
    """Return the first line of each message that was taken, and may be in doubt for nobody."""
    return [str((record.payload or {})["text"]).splitlines()[0] for record in slack.records()]


def undelivered(running: Running) -> float:
    """Return how many alerts have not gone out."""
    lines = ASKING.get(f"{running.url}/metrics", timeout=60).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("risk_alerts_undelivered"))
