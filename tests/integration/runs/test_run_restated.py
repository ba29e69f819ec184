"""Restated data: a month is evaluated again, and only what is new goes out."""

import pytest

from mock_slack.script import Step
from service.account_risk.account_at_risk import AccountAtRisk
from service.domain.delivery_status import Outcome
from service.domain.run import WithdrawnAlert
from tests.support.house import AMER, EMEA, House, account_of, arrivals
from tests.support.rows import account, accounts


def _shown(withdrawn: tuple[WithdrawnAlert, ...]) -> dict[str, tuple[str, str | None, int | None]]:
    return {
        row.alert.subject: (row.status, row.channel, AccountAtRisk.of(row.alert).arr) for row in withdrawn
    }


async def test_five_changes_among_a_thousand_have_five_effects(house: House) -> None:
    """One new, one taken back, one gone though sent, one of another ARR, one of another duration: no more."""
    rows = [*accounts(999), account("nowhere", account_region="LATAM")]
    source = house.source(rows)
    async with house.open(delivery_deadline_s=100_000) as desk:
        first = await desk.run(source)
        assert (first.counts.alerts_sent, first.counts.unknown_region) == (999, 1)
        rows[3] |= {"status": "Healthy"}
        rows[4] |= {"arr": 31_000}
        rows.append(account("a0005", month="2025-12-01", arr=999_995))
        rows[999] |= {"status": "Healthy"}
        rows.append(account("new"))
        assert house.source(rows) == source
        planned = await desk.preview(source)
        rehearsed = await desk.run(source, dry_run=True)
        second = await desk.run(source)
        alerts = await desk.alerts(second)
        withdrawn = await desk.app.store.history.list_withdrawn(second.run_id, limit=100)
        again = await desk.run(source)
    assert [account_of(record.payload) for record in house.slack.records()[999:]] == ["new"]
    counts = second.counts
    assert (counts.alerts, counts.alerts_sent, counts.skipped_replay) == (999, 1, 998)
    assert (counts.withdrawn, counts.restated) == (2, 2)
    gone = {"a0003": ("sent", AMER, 999_997), "nowhere": ("failed", None, 50_000)}
    assert _shown(withdrawn.items) == _shown(second.sample_withdrawn) == _shown(planned.withdrawn) == gone
    otherwise = {row.alert.subject: row.restated for row in alerts if row.restated}
    assert otherwise == {
        "a0004": {"arr": (999_996, 31_000)},
        "a0005": {"duration_months": (1, 2)},
    }
    assert {row.alert.subject: row.restated for row in planned.alerts if row.restated} == otherwise
    for rehearsal in (planned.counts, rehearsed.counts):
        assert (rehearsal.withdrawn, rehearsal.restated, rehearsal.would_send) == (2, 2, 1)
    # A replay of the same data sends nothing, and what stands in Slack is still otherwise.
    assert (again.counts.alerts_sent, again.counts.withdrawn, again.counts.restated) == (0, 1, 2)


async def test_a_region_a_file(house: House) -> None:
    """Sources of one month that hold different accounts do not take back one another's alerts."""
    rows = {"amer": accounts(2), "emea": accounts(2, region="EMEA", prefix="e")}
    sources = {name: house.source(rows[name], name=f"{name}.parquet") for name in rows}
    house.slack.script(AMER, Step(status=404, times=2))
    async with house.open() as desk:
        assert (await desk.run(sources["amer"])).counts.failed_deliveries == 2
        other = await desk.run(sources["emea"])
        assert (other.counts.alerts_sent, other.counts.withdrawn) == (2, 0)
        back = await desk.run(sources["amer"])
    assert (back.counts.alerts_sent, back.counts.withdrawn) == (2, 0)


async def test_an_account_that_moved_shows_where_its_alert_went(house: House) -> None:
    """A replay of a sent alert tells the channel it was sent to, and so does the preview."""
    house.slack.script(AMER, Step(), Step(status=404))
    async with house.open(slack_concurrency=1) as desk:
        source = house.source(accounts(2))
        await desk.run(source)
        house.source(accounts(2, region="EMEA"))
        planned = await desk.preview(source)
        record = await desk.run(source)
        rows = await desk.alerts(record)
    expected = [(AMER, Outcome.SKIPPED_REPLAY), (EMEA, Outcome.SENT)]
    assert [(row.channel, row.outcome) for row in rows] == expected
    assert [row.channel for row in planned.alerts] == [AMER, EMEA]
    assert arrivals(house.slack)[2:] == [(EMEA, "a0001")]


@pytest.mark.parametrize("limit", [0, 1, 2])
async def test_a_preview_lists_as_many_as_are_asked_for(house: House, limit: int) -> None:
    """What would be withdrawn is counted in full and listed up to the limit."""
    source = house.source([*accounts(3), account("b")])
    async with house.open() as desk:
        await desk.run(source)
        house.source([account("b")])
        planned = await desk.preview(source, limit=limit)
    assert planned.counts.withdrawn == 3
    assert [row.alert.subject for row in planned.withdrawn] == ["a0000", "a0001", "a0002"][:limit]
