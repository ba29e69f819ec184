"""Lesson 3: preview, then run exactly what was previewed: `plan_digest` is the agreement between the two."""

import pytest

from service.domain.errors import PlanChangedError
from tests.support.house import House
from tests.support.rows import account


async def test_a_preview_writes_and_sends_nothing(house: House) -> None:
    """It shows each alert with what a run would do about it, and leaves no run behind."""
    async with house.open() as desk:
        plan = await desk.preview(house.source([account("acme")]))
        runs = await desk.app.store.history.list_runs(limit=10)
    assert [(row.alert.subject, row.action) for row in plan.alerts] == [("acme", "send")]
    assert runs.items == ()
    assert house.slack.stats().total.requests == 0


async def test_a_run_executes_the_plan_that_somebody_has_seen(house: House) -> None:
    """The digest covers source, criteria, alerts and routing; while they are the same, the run goes ahead."""
    source = house.source([account("acme"), account("umbrella", account_region="EMEA")])
    async with house.open() as desk:
        plan = await desk.preview(source)
        record = await desk.run(source, plan_digest=plan.plan_digest)
    assert (record.plan_digest, record.counts.alerts_sent) == (plan.plan_digest, 2)


async def test_a_run_is_rejected_when_the_data_changed_since(house: House) -> None:
    """Nothing is sent, and the error carries the digest of what a run would execute now."""
    source = house.source([account("acme")])
    async with house.open() as desk:
        plan = await desk.preview(source)
        house.source([account("acme", arr=99_000)])
        with pytest.raises(PlanChangedError):
            await desk.run(source, plan_digest=plan.plan_digest)
        now = await desk.preview(source)
        record = await desk.run(source, plan_digest=now.plan_digest)
    assert now.plan_digest != plan.plan_digest
    assert record.counts.alerts_sent == house.slack.stats().total.requests == 1
