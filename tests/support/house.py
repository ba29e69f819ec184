"""What the tests of runs and deliveries share: an app on a real database, before a mock Slack of its own."""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from mock_slack.running import RunningMock
from service.account_risk.kind import month_request
from service.domain.delivery_status import Outcome
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.run import Preview, RunAlert, RunRecord, RunStatus
from service.domain.source_uri import SourceUri
from service.runs.execute import execute_run, new_run_id
from service.runs.preview import preview
from service.runtime.clock import Clock
from service.settings import Settings
from service.telemetry.events import Events
from service.wiring import App, open_app
from tests.support.clocks import ScaledClock
from tests.support.rows import MONTH, write_source

FAST: Final = 40.0
MARKER_KEY: Final = "0123456789abcdef"
AMER: Final = "amer-risk-alerts"
EMEA: Final = "emea-risk-alerts"
APAC: Final = "apac-risk-alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A folder with a database and sources, a mock Slack, and the one clock that all of them go by."""

    folder: Path
    slack: RunningMock
    clock: ScaledClock
    settings: dict[str, Any] = field(default_factory=dict)

    def source(self, rows: Iterable[Mapping[str, Any]], name: str = "source.parquet") -> str:
        """Write a source and return its URI."""
        return write_source(self.folder / name, rows)

    @property
    def database(self) -> Path:
        """The file that the ledger is in."""
        return self.folder / "ledger.db"

    @asynccontextmanager
    async def open(
        self, *, resumes: bool = False, events: Events | None = None, **changes: Any
    ) -> AsyncIterator["Desk"]:
        """Open the app as `changes` of its settings have it: unpaced unless they say otherwise.

        The lease is long because it is over in no time by a clock that hurries.
        """
        given: dict[str, Any] = {
            "database_url": f"sqlite:///{self.database}",
            "slack_webhook_base_url": self.slack.webhook_base_url,
            "slack_messages_per_second": 0,
            "lease_s": 3_000,
            "shutdown_grace_s": 3_000,
        }
        settings = Settings(_env_file=None, **given | self.settings | changes)
        with _database_clock(self.clock):
            async with open_app(settings, clock=self.clock, events=events, resumes=resumes) as app:
                yield Desk(app)

    def lanes_paused(self) -> int:
        """Return how many lanes Slack has asked to pause."""
        with closing(sqlite3.connect(self.database)) as ledger:
            (paused,) = ledger.execute("SELECT count(*) FROM lanes WHERE paused_until > 0").fetchone()
        return int(paused)

    def pauses_over(self) -> None:
        """Let the time pass that Slack has asked for."""
        with closing(sqlite3.connect(self.database)) as ledger, ledger:
            ledger.execute("UPDATE lanes SET paused_until = 0")


def with_bot(house: House, **changes: Any) -> House:
    """Return the house with a bot in place of webhooks, which sends one message at a time."""
    bot: dict[str, Any] = {"slack_webhook_base_url": None, "slack_concurrency": 1}
    bot |= {"slack_bot_token": "xoxb-1", "slack_api_url": house.slack.api_url, "marker_key": MARKER_KEY}
    return replace(house, settings={**house.settings, **bot, **changes})


@dataclass(frozen=True, slots=True)
class Desk:
    """An open app, and what a person does with it."""

    app: App

    async def preview(self, source_uri: str, *, month: str = MONTH, limit: int = 10_000) -> Preview:
        """Show what a run of a month would send."""
        request = month_request(SourceUri.parse(source_uri), Month.parse(month))
        return await preview(self.app, request, limit=limit, progress=Progress())

    async def run(self, source_uri: str, *, month: str = MONTH, **details: Any) -> RunRecord:
        """Run a month to its end, as `details` of the request have it; the counts must balance."""
        request = month_request(SourceUri.parse(source_uri), Month.parse(month), **details)
        run_id = new_run_id(self.app.clock.now())
        record = await execute_run(self.app, request, run_id=run_id, progress=Progress())
        assert record.status is RunStatus.SUCCEEDED
        assert_balanced(record)
        return record

    async def ended(self, run_id: str) -> RunRecord:
        """Wait until a run has ended, whichever process has it at work, and return its record."""
        for _ in range(10_000):
            record = await self.app.store.history.get_run(run_id)
            if record.finished_at is not None:
                return record
            await self.app.clock.sleep(1)
        raise AssertionError(f"run {run_id} does not end")

    async def alerts(self, record: RunRecord) -> list[RunAlert]:
        """Return all alerts of a run, in the order of sending."""
        return list((await self.app.store.history.list_alerts(record.run_id, limit=10_000)).items)

    async def outcomes(self, record: RunRecord) -> dict[str, Outcome]:
        """Return the outcome of every account of a run."""
        return {row.alert.subject: row.outcome for row in await self.alerts(record)}


@contextmanager
def _database_clock(clock: Clock) -> Iterator[None]:
    """Let the connections that are opened meanwhile tell the time by `clock`: SQLite asks `julianday`."""

    def listen(connection: Any, _record: object) -> None:
        connection.create_function("julianday", 1, lambda _: 2440587.5 + clock.now().timestamp() / 86400)

    sa.event.listen(sa.Pool, "connect", listen)
    try:
        yield
    finally:
        sa.event.remove(sa.Pool, "connect", listen)


def assert_balanced(record: RunRecord) -> None:
    """Check the ledger's identities, and that the counts say the same."""
    assert record.ledger is not None
    record.ledger.check()
    counts = record.counts
    done = counts.alerts_sent + counts.unsent
    assert counts.alerts == (
        (counts.would_send if record.dry_run else done)
        + counts.skipped_replay
        + counts.failed_deliveries
        + counts.unknown
    )
    assert record.ledger.rows["alerts"] == counts.alerts


def arrivals(slack: RunningMock, *, status: int | None = None) -> list[tuple[str, str]]:
    """Return what arrived at Slack, in order: (channel, account id)."""
    return [
        (record.channel, account_of(record.payload))
        for record in slack.records()
        if status is None or record.status_code == status
    ]


def account_of(payload: dict[str, Any] | None) -> str:
    """Return the account that a message is about."""
    assert payload is not None
    title = payload["text"].splitlines()[0]
    return str(title[title.rindex("(") + 1 : -1])


def warning_codes(record: RunRecord) -> dict[str, int]:
    """Return what a run warned of, with its counts."""
    return {warning.code: warning.count for warning in record.warnings}
