"""Runs over logs for tests: a folder with rules and logs, and the app that runs them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from mock_slack.running import RunningMock
from service.domain.progress import Progress
from service.domain.run import Preview, RunRecord, RunRequest
from service.domain.source_uri import SourceUri
from service.log_rules.alerts.kind import log_request
from service.runs.execute import execute_run, new_run_id
from service.runs.preview import preview
from service.settings import Settings
from service.wiring import App, open_app
from tests.support.log_files import LogRow, write_csv

DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
RULES: Final = """
[[rules]]
id = "burst"
title = "{peak} fatal errors within {window}: {group}"
where = {severity = ["fatal"]}
group_by = ["bundle_id"]
threshold = {gt = 2}
window = "10m"
repeat = "1h"
severity = "critical"
channel = "on-call"
"""


def at(hours: float, *, seconds: float = 0, bundle: str = "com.a", severity: str = "fatal") -> LogRow:
    """Return an event so long after the first day began."""
    when = DAY + timedelta(hours=hours, seconds=seconds)
    return {"severity": severity, "bundle_id": bundle, "date": when.isoformat()}


def burst(hours: float, count: int, *, bundle: str = "com.a") -> list[LogRow]:
    """Return events a second apart."""
    return [at(hours, seconds=number, bundle=bundle) for number in range(count)]


class Logs:
    """A folder with rules and logs, and an app that runs them."""

    def __init__(self, app: App, folder: Path) -> None:
        self.app = app
        self.folder = folder
        self.write_rules(RULES)

    def write_rules(self, text: str) -> None:
        """Write the file of rules."""
        (self.folder / "mobile.toml").write_text(text, encoding="utf-8")

    def write(self, name: str, rows: Sequence[LogRow]) -> str:
        """Write a log, which always has some other row in each hour, and return its URI."""
        quiet = [at(hour, seconds=1, severity="error") for hour in range(0, 72, 6)]
        return write_csv(self.folder / name, [*quiet, *rows]).as_uri()

    def request(self, source: str, since: float, until: float, **details: Any) -> RunRequest:
        """Ask for a period, in hours since the first day began."""
        given: dict[str, Any] = {"stream": "mobile"} | details
        return log_request(
            SourceUri.parse(source),
            self.folder / "mobile.toml",
            since=DAY + timedelta(hours=since),
            until=DAY + timedelta(hours=until),
            **given,
        )

    async def run(self, source: str, since: float, until: float, **details: Any) -> RunRecord:
        """Run a period to its end; the counts must balance."""
        request = self.request(source, since, until, **details)
        run_id = new_run_id(self.app.clock.now())
        record = await execute_run(self.app, request, run_id=run_id, progress=Progress())
        assert record.error is None
        assert record.ledger is not None
        assert record.ledger.rows["alerts"] == sum(record.ledger.outcomes.values())
        return record

    async def preview(self, source: str, since: float, until: float) -> Preview:
        """Preview a period."""
        return await preview(self.app, self.request(source, since, until), limit=500, progress=Progress())


@asynccontextmanager
async def opened(database_url: str, slack: RunningMock, folder: Path, **changes: Any) -> AsyncIterator[Logs]:
    """Open the app before the mock Slack."""
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        slack_webhook_base_url=slack.webhook_base_url,
        slack_messages_per_second=0,
        **changes,
    )
    async with open_app(settings) as app:
        yield Logs(app, folder)
