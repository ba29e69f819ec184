"""Plan, then apply: a run that was given a plan's digest executes exactly that plan or is rejected."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.domain.errors import PlanChangedError
from service.domain.run import RunStatus
from tests.support.house import House
from tests.support.rows import MONTH, account, accounts


async def test_a_plan_that_still_holds_is_done(house: House) -> None:
    """The run does what was previewed, and has the same digest in its record."""
    source = house.source(accounts(3))
    async with house.open() as desk:
        plan = await desk.preview(source, limit=0)
        assert (await desk.run(source, plan_digest=plan.plan_digest, dry_run=True)).counts.would_send == 3
        record = await desk.run(source, plan_digest=plan.plan_digest)
    assert (record.plan_digest, record.counts.alerts_sent) == (plan.plan_digest, 3)
    assert len(plan.plan_digest) == 64


async def test_what_became_of_the_alerts_is_no_part_of_the_plan(house: House) -> None:
    """After they were sent the plan is still the same, and doing it again skips them all."""
    source = house.source(accounts(3))
    async with house.open() as desk:
        plan = await desk.preview(source, limit=0)
        await desk.run(source)
        assert (await desk.preview(source, limit=0)).plan_digest == plan.plan_digest
        assert (await desk.run(source, plan_digest=plan.plan_digest)).counts.skipped_replay == 3
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
        plan = await desk.preview(source, limit=0)
    async with house.open(**change(house)) as desk:
        with pytest.raises(PlanChangedError) as refusal:
            await desk.run(source, plan_digest=plan.plan_digest, dry_run=dry_run)
        assert refusal.value.run_id is not None
        record = await desk.app.store.history.get_run(refusal.value.run_id)
        assert (record.status, record.error and record.error.code) == (RunStatus.FAILED, "plan_changed")
        assert record.plan_digest == (await desk.preview(source, limit=0)).plan_digest != plan.plan_digest
        assert str(record.plan_digest) in refusal.value.detail
        assert await desk.app.store.recording.standings(f"risk_alert:{MONTH}", source) == {}
        assert await desk.alerts(record) == []
        # The month is free again at once, and an unconditional run does what there is to do.
        assert (await desk.run(source)).counts.alerts_sent == record.counts.alerts
    assert house.slack.stats().total.requests == record.counts.alerts


async def test_a_plan_made_elsewhere_is_the_same(house: House, tmp_path: Path) -> None:
    """Another process with the same settings, but a database and a webhook of its own, agrees."""
    source = house.source(accounts(2))
    async with house.open() as desk:
        plan = await desk.preview(source, limit=0)
    async with house.open(
        database_url=f"sqlite:///{tmp_path / 'other.db'}", slack_webhook_base_url="http://127.0.0.1:9/x"
    ) as other:
        assert (await other.preview(source, limit=0)).plan_digest == plan.plan_digest
