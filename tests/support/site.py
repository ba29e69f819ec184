"""What the fault tests share: a ledger read from outside, and what must hold whatever was done to it."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import orjson

from mock_slack.log import Record
from mock_slack.message import Message
from mock_slack.running import RunningMock
from tests.support.processes import ASKING, Running, run_command
from tests.support.rows import MONTH, accounts, write_source
from tests.support.waiting import PATIENCE_S

TIMEOUT_S: Final = 2.0
LEASE_S: Final = 4.0
PATIENT: Final = {"slack_timeout_s": 20, "lease_s": 40}
"""Settings for tests in which no POST may time out, however slow the machine."""
SENDERS: Final = 4
RUN_PATIENCE_S: Final = 150.0
"""However slow the machine: a run that has not ended by then is not going to."""
AMER: Final = "amer-risk-alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A folder with a database and a source, and the Slack that its runs send to."""

    folder: Path
    webhook_base_url: str
    count: int = 60

    @property
    def database(self) -> Path:
        """The file that the ledger is in."""
        return self.folder / "ledger.db"

    @property
    def source(self) -> str:
        """The URI of a source with `count` alerts, all of one channel."""
        path = self.folder / "source.parquet"
        return path.as_uri() if path.exists() else write_source(path, accounts(self.count))

    def env(self, **changes: object) -> dict[str, str]:
        """Return the settings of its processes: unpaced, four senders, a short lease."""
        settings: dict[str, object] = {
            "database_url": f"sqlite:///{self.database}",
            "slack_webhook_base_url": self.webhook_base_url,
            "slack_messages_per_second": 0,
            "slack_concurrency": SENDERS,
            "slack_timeout_s": TIMEOUT_S,
            "lease_s": LEASE_S,
        }
        return {name.upper(): str(value) for name, value in (settings | changes).items()}

    def run(self, **changes: object) -> dict[str, Any]:
        """Run the month to its end in a process of its own and return what it says of itself."""
        with run_command(self.source, folder=self.folder, env=self.env(**changes)) as running:
            code = running.exit_code()
            text = running.log.read_text()
            assert code in {0, 2}, text
            (finished,) = [event for event in running.events() if event["message"] == "run_finished"]
        return finished

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the ledger."""
        with closing(sqlite3.connect(self.database, timeout=PATIENCE_S)) as ledger:
            return ledger.execute(query).fetchall()

    def runs(self) -> list[tuple[str, str | None]]:
        """Return (status, error) of every run, oldest first."""
        return [
            (status, error)
            for status, error in self.rows("SELECT status, error FROM runs ORDER BY started_at")
        ]

    def expire_leases(self) -> None:
        """Let the time pass that the leases of dead processes have left."""
        with closing(sqlite3.connect(self.database, timeout=PATIENCE_S)) as ledger, ledger:
            ledger.execute("UPDATE runs SET expires_at = 0 WHERE status = 'running'")

    def statuses(self) -> dict[str, str]:
        """Return the state of every alert in the outbox, by alert id."""
        return dict(self.rows("SELECT id, status FROM outbox"))

    def assert_sound(self, accepted: Mapping[str, int], *, doubts: int) -> None:
        """Check that nothing was sent twice or lost, and that at most `doubts` alerts are in doubt.

        `accepted` says how often Slack took each alert. Call it when no run is at work any more.
        """
        statuses = self.statuses()
        assert len(statuses) == self.count
        assert set(statuses.values()) <= {"sent", "unknown"}
        assert {alert: times for alert, times in accepted.items() if times > 1} == {}
        sent = {alert for alert, status in statuses.items() if status == "sent"}
        assert sent <= accepted.keys(), "the ledger says sent, and Slack has never seen it"
        assert accepted.keys() <= statuses.keys()
        assert len(statuses) - len(sent) <= doubts
        assert "running" not in {status for status, _ in self.runs()}


def accepted_by(slack: RunningMock) -> Counter[str]:
    """Return how often Slack took each alert."""
    return accepted_of(slack.records())


def accepted_of(records: Iterable[Record]) -> Counter[str]:
    """Return how often each alert was taken, going by what was logged."""
    return Counter(
        Message(orjson.dumps(record.payload)).alert for record in records if record.status_code == 200
    )


def records_in(log: Path) -> list[Record]:
    """Read the log of mocks that may have died since."""
    return [Record(**orjson.loads(line)) for line in log.read_bytes().splitlines()]


def post_run(
    service: Running, source: str, *, month: str = MONTH, timeout_s: float = PATIENCE_S
) -> httpx2.Response:
    """POST /runs and wait for the answer."""
    body = {"source_uri": source, "month": month}
    return ASKING.post(f"{service.url}/runs", json=body, timeout=timeout_s)


@contextmanager
def posting(service: Running, source: str, *, month: str = MONTH) -> Iterator[list[httpx2.Response]]:
    """POST a run beside the block, and wait for the answer at its end; none comes of a service that died."""
    answers: list[httpx2.Response] = []

    def post() -> None:
        with suppress(httpx2.TransportError):
            answers.append(post_run(service, source, month=month, timeout_s=RUN_PATIENCE_S))

    client = threading.Thread(target=post)
    client.start()
    try:
        yield answers
    finally:
        client.join()


def ask(service: Running, path: str, **query: object) -> dict[str, Any]:
    """GET an answer; raises AssertionError if it is none."""
    given = {name: str(value) for name, value in query.items() if value is not None}
    response = ASKING.get(f"{service.url}{path}", params=given)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def open_runs(service: Running) -> list[dict[str, Any]]:
    """Return the runs that have not finished, at work or released."""
    # One question: between two a run could go from one status to the other, and be in neither answer.
    return [run for run in ask(service, "/runs")["runs"] if run["status"] in {"running", "released"}]


def alerts_of(service: Running, run_id: str) -> dict[str, str]:
    """Return the outcome of every alert of a run, by alert id."""
    outcomes: dict[str, str] = {}
    cursor = None
    while True:
        page = ask(service, f"/runs/{run_id}/alerts", limit=200, cursor=cursor)
        outcomes |= {row["alert_id"]: row["outcome"] for row in page["alerts"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return outcomes
