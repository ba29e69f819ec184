"""SUMMARY: after a run each channel reads once what the run changed there."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.cli.running import _send_summary
from service.domain.delivery_status import SettleAs
from service.domain.run import RunError
from service.runs.interventions import settle_alert
from service.runs.waiting.keep_sending import send_waiting
from service.runs.waiting.kind import outbox_request
from service.settings import Settings
from service.wiring import open_app
from tests.support.given import Given
from tests.support.house import AMER, EMEA, Desk
from tests.support.rows import MONTH, account, accounts, write_source

FEB = "2026-02-01"


@pytest.fixture
async def desk(database_url: str, slack: RunningMock) -> AsyncIterator[Desk]:
    """Open an app that summarizes its runs, and starts nothing by itself."""
    given: dict[str, Any] = {
        "database_url": database_url,
        "slack_webhook_base_url": slack.webhook_base_url,
        "slack_messages_per_second": 0,
        "summary": True,
    }
    async with open_app(Settings(_env_file=None, **given)) as app:
        yield Desk(app)


async def summaries(desk: Desk, slack: RunningMock) -> dict[str, list[str]]:
    """Send what waits, and return the lines of each channel's newest message, where anything waited."""
    slack.reset()
    if await desk.app.store.waiting.tenants():
        await send_waiting(desk.app)
    return {record.channel: str((record.payload or {})["text"]).splitlines() for record in slack.records()}


async def run(
    desk: Desk, slack: RunningMock, source: str, month: str = MONTH
) -> tuple[str, dict[str, list[str]]]:
    """Run a month, and return its id and what its channels read, which a preview must have said."""
    preview = await desk.preview(source, month=month)
    foreseen = {one.channel: str(one.message["text"]) for one in preview.summaries}
    record = await desk.run(source, month=month)
    said = await summaries(desk, slack)
    assert said == {
        channel: text.replace("RUN_ID", record.run_id).splitlines() for channel, text in foreseen.items()
    }
    return record.run_id, said


async def test_each_channel_reads_once_what_a_run_changed(
    desk: Desk, slack: RunningMock, tmp_path: Path
) -> None:
    """All kinds, with their ARR and their regions; a replay says nothing, restated data say what is new."""
    january = [
        account("stays", arr=70_000),
        account("heals", arr=60_000),
        account("closed", arr=50_000),
        account("gone", arr=40_000, account_region="EMEA"),
        account("nowhere", arr=30_000, account_region=None),
    ]
    source = write_source(tmp_path / "source.parquet", january)
    first, said = await run(desk, slack, source)
    assert said.keys() == {AMER, EMEA}
    assert said[EMEA] == [
        "📋 Summary: 1 new (2026-01-01)",
        "At Risk: 1 account, ARR $40,000",
        f"Run: {first}",
        "By region",
        "EMEA: 1 new ($40,000)",
        "New: 1 account, ARR $40,000",
        "• Account gone (gone): $40,000",
    ]
    assert (await run(desk, slack, source))[1] == {}
    # February, with somebody's work in between.
    await Given(desk.app.store).sql(
        "UPDATE alerts SET status = 'resolved', resolution_reason = 'person' WHERE subject = 'closed'"
    )
    february = [
        account("stays", month=FEB, arr=71_000),
        account("heals", month=FEB, arr=60_000, status="Healthy"),
        account("closed", month=FEB, arr=51_000),
        account("new", month=FEB, arr=90_000),
    ]
    write_source(tmp_path / "source.parquet", [*january, *february])
    second, said = await run(desk, slack, source, FEB)
    assert said == {
        AMER: [
            "📋 Summary: 1 new, 1 reopened, 1 continuing, 1 recovered (2026-02-01)",
            "At Risk: 3 accounts, ARR $212,000",
            f"Run: {second}",
            "By region",
            "AMER: 1 new ($90,000), 1 reopened ($51,000), 1 continuing ($71,000), 1 recovered ($60,000)",
            "New: 1 account, ARR $90,000",
            "• Account new (new): $90,000",
            "Reopened: 1 account, ARR $51,000",
            "• Account closed (closed): $51,000",
            "Continuing: 1 account, ARR $71,000",
            "• Account stays (stays): $71,000",
            "Recovered: 1 account, ARR $60,000",
            "• Account heals (heals): $60,000",
        ]
    }
    # January says otherwise now: what was sent is gone, and is said to be once.
    january[3] |= {"status": "Healthy"}
    write_source(tmp_path / "source.parquet", [*january, *february])
    _, said = await run(desk, slack, source)
    assert said.keys() == {EMEA}
    assert said[EMEA][0] == "📋 Summary: 1 withdrawn (2026-01-01)"
    for month in (MONTH, FEB):
        assert (await run(desk, slack, source, month))[1] == {}


async def test_a_long_list_is_cut(desk: Desk, slack: RunningMock, tmp_path: Path) -> None:
    """It says how many more there are, and what lists them; whatever an account is called, Slack takes it."""
    rows = accounts(40)
    rows[0] |= {"account_name": "<!channel> &\n" * 50, "arr": 1_500_000}
    rows[1] |= {"account_name": None, "arr": 2_000_000}
    source = write_source(tmp_path / "source.parquet", rows)
    run_id, said = await run(desk, slack, source)
    lines = said[AMER]
    named = lines[lines.index("By region") + 2 :]
    assert named[0] == "New: 40 accounts, ARR $41,499,221"
    assert named[1] == "• a0001 (a0001): $2,000,000"
    assert named[2].startswith("• &lt;!channel&gt; &amp; &lt;!channel&gt;")
    assert named[2].endswith("… (a0000): $1,500,000")
    assert named[11:] == [f"and 30 more: risk-alerts runs changes {run_id}"]


async def test_of_a_run_that_died_the_next_one_tells(desk: Desk, slack: RunningMock, tmp_path: Path) -> None:
    """What it recorded is as new in the summary as it would have been, and there is one summary."""
    source = write_source(tmp_path / "source.parquet", [account("a")])
    died = await desk.run(source)
    given = Given(desk.app.store)
    await given.sql("DELETE FROM outbox WHERE alert_type = 'summary'")
    await given.sql("UPDATE runs SET status = 'failed', error = 'interrupted'")
    replay, said = await run(desk, slack, source)
    assert said[AMER][:3] == [
        "📋 Summary: 1 new (2026-01-01)",
        "At Risk: 1 account, ARR $50,000",
        f"Run: {replay}",
    ]
    assert (await desk.app.store.changes.of_run(died.run_id)).changes[0].change == "new"
    await desk.run(source)
    assert await summaries(desk, slack) == {}


async def test_a_summary_fails_and_is_in_doubt_as_every_message(
    desk: Desk, slack: RunningMock, tmp_path: Path
) -> None:
    """It waits out a pause, is tried again after a rejection, and a lost answer holds it."""
    source = write_source(tmp_path / "source.parquet", [account("a")])
    await desk.run(source)
    slack.reset()
    slack.script(AMER, Step(status=404, body="no_service"))
    assert (await send_waiting(desk.app)).counts.failed_deliveries == 1
    slack.script(AMER, Step(drop="after"))
    assert (await send_waiting(desk.app)).counts.unknown == 1
    assert (await send_waiting(desk.app)).counts.alerts == 0
    assert len(slack.records()) == 2
    (doubt,) = await Given(desk.app.store).sql("SELECT id, status FROM outbox WHERE alert_type = 'summary'")
    assert doubt["status"] == "unknown"
    await settle_alert(desk.app, doubt["id"], SettleAs.RESEND, by="ann", note=None)
    assert (await send_waiting(desk.app)).counts.alerts_sent == 1


async def test_the_command_line_sends_what_a_dead_process_left(
    desk: Desk, slack: RunningMock, tmp_path: Path
) -> None:
    """Without a `serve` nobody else would; and where nothing waits there is no run for it."""
    source = write_source(tmp_path / "source.parquet", [account("a")])
    record = await desk.run(source)
    request = outbox_request(desk.app.tenant_id)
    await desk.app.store.runs.begin("r1", request, started_at=desk.app.clock.now(), lease_s=30)
    await desk.app.store.runs.acquire_lease("r1", request.scope, now=desk.app.clock.now())
    slack.reset()
    assert await _send_summary(desk.app, record) == 0
    assert slack.records() == []
    await Given(desk.app.store).expired("r1")
    for _ in range(2):
        assert await _send_summary(desk.app, record) == 0
        assert len(slack.records()) == 1
    assert len((await desk.app.store.history.list_runs(limit=10)).items) == 3


async def test_nothing_is_summarized_that_is_not_to_be(
    desk: Desk, slack: RunningMock, tmp_path: Path
) -> None:
    """A dry run, a run that failed, and every run without the setting leave no message."""
    source = write_source(tmp_path / "source.parquet", [account("a")])
    await desk.run(source, dry_run=True)
    given = Given(desk.app.store)
    await given.a_recorded("r1", [], source=source)
    await given.finished("r1", error=RunError(code="cancelled", detail="by somebody"))
    assert await summaries(desk, slack) == {}
