"""Plan, then apply: a run that was given a plan's digest does just that plan, or nothing at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.domain.errors import PlanChangedError
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.run import Preview, RunRecord, RunRequest, RunStatus
from service.domain.source_uri import SourceUri
from service.runs.execute import execute_run, new_run_id
from service.runs.preview import preview
from tests.support.house import Desk, House
from tests.support.rows import MONTH, account, accounts


async def previewed(desk: Desk, source: str) -> Preview:
    """Preview the month, showing no alert: the digest is over all of them."""
    request = RunRequest(source=SourceUri.parse(source), month=Month.parse(MONTH))
    return await preview(desk.app, request, limit=0, progress=Progress())


async def applied(desk: Desk, source: str, plan: Preview, *, dry_run: bool = False) -> RunRecord:
    """Run the month as it was planned."""
    request = RunRequest(
        source=SourceUri.parse(source),
        month=Month.parse(MONTH),
        dry_run=dry_run,
        plan_digest=plan.plan_digest,
    )
    run_id = new_run_id(desk.app.clock.now())
    return await execute_run(desk.app, request, run_id=run_id, progress=Progress())


async def test_a_plan_that_still_holds_is_done(house: House) -> None:
    """The run does what was previewed, and tells the same digest of itself."""
    source = house.source(accounts(3))
    async with house.open() as desk:
        plan = await previewed(desk, source)
        assert (await applied(desk, source, plan, dry_run=True)).counts.would_send == 3
        record = await applied(desk, source, plan)
    assert (record.plan_digest, record.counts.alerts_sent) == (plan.plan_digest, 3)
    assert len(plan.plan_digest) == 64


async def test_what_became_of_the_alerts_is_no_part_of_the_plan(house: House) -> None:
    """After they were sent the plan is still the same, and doing it again skips them all."""
    source = house.source(accounts(3))
    async with house.open() as desk:
        plan = await previewed(desk, source)
        await desk.run(source)
        assert (await previewed(desk, source)).plan_digest == plan.plan_digest
        assert (await applied(desk, source, plan)).counts.skipped_replay == 3
    assert house.slack.stats().total.requests == 3


def _rewritten(house: House) -> dict[str, Any]:
    house.source([*accounts(2), account("another")])
    return {}


def _touched(house: House) -> dict[str, Any]:
    os.utime(house.folder / "source.parquet", (1, 1))
    return {}


@pytest.mark.parametrize(
    "change",
    [
        _rewritten,
        _touched,
        lambda _: {"arr_threshold": 999_999},
        lambda _: {"history_months": 2},
        lambda _: {"region_channels": {"AMER": "elsewhere"}},
        lambda _: {"details_base_url": "https://elsewhere.example.com"},
    ],
    ids=["rows", "version", "threshold", "history", "routing", "link"],
)
@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_plan_that_has_changed_is_refused(
    house: House, change: Callable[[House], dict[str, Any]], *, dry_run: bool
) -> None:
    """Whatever differs: nothing is sent or put into the outbox, and the run is failed and says its own."""
    source = house.source(accounts(3))
    async with house.open() as desk:
        plan = await previewed(desk, source)
    async with house.open(**change(house)) as desk:
        with pytest.raises(PlanChangedError) as refusal:
            await applied(desk, source, plan, dry_run=dry_run)
        assert refusal.value.run_id is not None
        record = await desk.app.store.history.get_run(refusal.value.run_id)
        assert (record.status, record.error and record.error.code) == (RunStatus.FAILED, "plan_changed")
        assert record.plan_digest == (await previewed(desk, source)).plan_digest != plan.plan_digest
        assert str(record.plan_digest) in refusal.value.detail
        assert await desk.app.store.recording.standings(Month.parse(MONTH), source) == {}
        assert await desk.alerts(record) == []
        # The month is free again at once, and an unconditional run does what there is to do.
        assert (await desk.run(source)).counts.alerts_sent == record.counts.alerts
    assert house.slack.stats().total.requests == record.counts.alerts


async def test_a_plan_made_elsewhere_is_the_same(house: House, tmp_path: Path) -> None:
    """Another process with the same settings, but a database and a webhook of its own, agrees."""
    source = house.source(accounts(2))
    async with house.open() as desk:
        plan = await previewed(desk, source)
    async with house.open(
        database_url=f"sqlite:///{tmp_path / 'other.db'}", slack_webhook_base_url="http://127.0.0.1:9/x"
    ) as other:
        assert (await previewed(other, source)).plan_digest == plan.plan_digest
