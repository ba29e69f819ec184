"""Restated data: what a run takes back, and what it only says of alerts that went out before."""

from functools import partial

import pytest

from service.account_risk.account_at_risk import AccountAtRisk
from service.domain.delivery_status import DeliveryStatus
from service.domain.month import Month
from service.store.store import Store
from tests.support.alerts import MONTH, an_alert
from tests.support.given import SOURCE, Given, an_evaluation, every, routed, scope_of, the_answer

OTHER = "s3://bucket/emea.parquet"


async def _one_of_each(given: Given) -> None:
    """Let run `r1` leave accounts behind that were sent, are in doubt, failed, and wait."""
    lease, (*entries, _) = await given.a_recorded("r1", routed("sent", "doubt", "failed", "waits"))
    await given.claimed(lease, entries)
    statuses = (DeliveryStatus.SENT, DeliveryStatus.UNKNOWN, DeliveryStatus.FAILED)
    await given.settled(
        lease, *(the_answer(entry, status) for entry, status in zip(entries, statuses, strict=True))
    )
    await given.finished("r1", alerts=4)


async def _withdrawn(given: Given, run_id: str) -> dict[str, str]:
    page = await given.store.history.list_withdrawn(run_id, limit=100)
    assert page.next_cursor is None
    assert (await given.store.history.get_run(run_id)).counts.withdrawn == len(page.items)
    return {item.alert.subject: item.status for item in page.items}


async def test_what_another_source_has_is_left_alone(given: Given) -> None:
    """A run over one region's file says nothing about the accounts of another region's."""
    await _one_of_each(given)
    before = await given.sql("SELECT * FROM outbox ORDER BY id")
    await given.a_recorded("r2", [], source=OTHER)
    assert await given.sql("SELECT * FROM outbox ORDER BY id") == before
    assert await _withdrawn(given, "r2") == {}


async def test_the_source_that_recorded_last_is_the_one_that_withdraws(given: Given) -> None:
    """An alert that went over to another source is that source's to take back."""
    await _one_of_each(given)
    await given.recorded(await given.a_lease("r2", source=OTHER), routed("waits"))
    await given.finished("r2", alerts=1)
    await given.recorded(await given.a_lease("r3"), [])
    assert (await _withdrawn(given, "r3")).keys() == {"sent", "doubt", "failed"}
    assert await given.status_of("waits") == "pending"
    await given.finished("r3", alerts=0)
    await given.recorded(await given.a_lease("r4", source=OTHER), [])
    assert await _withdrawn(given, "r4") == {"waits": "pending"}
    assert await given.status_of("waits") == "withdrawn"


async def test_each_run_says_what_is_still_otherwise(given: Given) -> None:
    """What was sent is reported by every run that no longer has it; what was taken back is told once."""
    await _one_of_each(given)
    found = []
    for number in (2, 3):
        await given.recorded(await given.a_lease(f"r{number}"), [])
        found.append(await _withdrawn(given, f"r{number}"))
        await given.finished(f"r{number}", alerts=0)
    assert found == [
        {"doubt": "unknown", "failed": "failed", "sent": "sent", "waits": "pending"},
        {"doubt": "unknown", "sent": "sent"},
    ]
    assert [await given.status_of(name) for name in ("sent", "doubt", "failed", "waits")] == [
        "sent",
        "unknown",
        "withdrawn",
        "withdrawn",
    ]


async def test_what_was_sent_otherwise_is_restated(given: Given) -> None:
    """ARR and duration are compared with what was sent, not with what the run before saw."""
    lease, _ = await given.a_recorded("r1", routed("same", "poorer", "longer", "unknown"))
    await given.all_sent(lease)
    await given.finished("r1", alerts=4)
    restated = routed(
        an_alert("same", account_name="Renamed"),
        an_alert("poorer", arr=1),
        an_alert("longer", duration_months=4),
        an_alert("unknown", arr=None, duration_months=1),
    )
    for run_id in ("r2", "r3"):
        await given.recorded(await given.a_lease(run_id), restated)
        await given.finished(run_id, alerts=4)
        run = await given.store.history.get_run(run_id)
        assert (run.counts.restated, run.counts.skipped_replay, run.counts.withdrawn) == (3, 4, 0)
        outcomes = await given.outcomes(run_id)
        assert {name: item.restated for name, item in outcomes.items()} == {
            "same": None,
            "poorer": {"arr": (10_211, 1)},
            "longer": {"duration_months": (3, 4)},
            "unknown": {"arr": (10_211, None), "duration_months": (3, 1)},
        }
        assert [item.alert.subject for item in run.sample_restated] == ["poorer", "longer", "unknown"]
    page = await given.store.history.list_alerts("r3", limit=2, restated=True)
    rest = await given.store.history.list_alerts("r3", limit=2, restated=True, cursor=page.next_cursor)
    assert [item.alert.subject for item in page.items] == ["poorer", "longer"]
    assert ([item.alert.subject for item in rest.items], rest.next_cursor) == (["unknown"], None)
    assert (await given.row_of("poorer"))["facts"]["arr"] == 10_211


async def test_what_was_or_may_have_been_sent_shows_where_to(given: Given) -> None:
    """A region that moved to another channel does not rewrite where its alerts went."""
    await _one_of_each(given)
    await given.a_recorded("r2", routed("sent", "doubt", "failed", channel="emea"))
    channels = {name: item.channel for name, item in (await given.outcomes("r2")).items()}
    assert channels == {"sent": "amer", "doubt": "amer", "failed": "emea"}


async def test_a_dry_run_reports_and_takes_nothing_back(given: Given) -> None:
    """It has the counts and lists that the run would have, and the outbox stays as it was."""
    await _one_of_each(given)
    before = await given.sql("SELECT * FROM outbox ORDER BY id")
    await given.a_run("r2", dry_run=True)
    await given.store.runs.note_evaluation("r2", an_evaluation(1))
    await given.rehearsed("r2", routed(an_alert("sent", arr=1)))
    await given.finished("r2", alerts=1)
    assert await given.sql("SELECT * FROM outbox ORDER BY id") == before
    reported = await _withdrawn(given, "r2")
    assert reported == {"doubt": "unknown", "failed": "failed", "waits": "pending"}
    assert (await given.store.history.get_run("r2")).counts.restated == 1
    await given.recorded(await given.a_lease("r3"), routed(an_alert("sent", arr=1)))
    assert await _withdrawn(given, "r3") == reported


async def test_what_would_be_withdrawn_can_be_asked(given: Given) -> None:
    """As a run would list it: by account id, with its facts, channel and state; in any number."""
    await _one_of_each(given)
    ids = [an_alert(name).alert_id for name in ("waits", "failed", "nobody")]
    found = await given.store.recording.withdrawable(ids)
    assert [(AccountAtRisk.of(item.alert), item.channel, item.status) for item in found] == [
        (an_alert("failed"), "amer", "failed"),
        (an_alert("waits"), "amer", "pending"),
    ]
    many = [an_alert(f"n{number}").alert_id for number in range(1_100)]
    assert [item.alert.subject for item in await given.store.recording.withdrawable([*many, *ids])] == [
        "failed",
        "waits",
    ]


@pytest.mark.parametrize("limit", [1, 2, 4, 5])
async def test_what_is_withdrawn_comes_in_pages_of_any_size(given: Given, limit: int) -> None:
    """Each alert is on exactly one page, in the order of the account ids; a run shows the first ten."""
    names = [f"a{number:02}" for number in range(12)]
    await given.a_recorded("r1", routed(*reversed(names)))
    await given.finished("r1", alerts=12)
    await given.recorded(await given.a_lease("r2"), [])
    listed = await every(partial(given.store.history.list_withdrawn, "r2"), limit=limit)
    assert [item.alert.subject for item in listed] == names
    run = await given.store.history.get_run("r2")
    assert [item.alert.subject for item in run.sample_withdrawn] == names[:10]


async def test_many_are_withdrawn_at_once(given: Given) -> None:
    """More than fit into one statement, and not one of the next month's."""
    await given.a_recorded("r1", routed(*(f"a{number}" for number in range(1_200))))
    await given.finished("r1", alerts=1_200)
    february = Month.parse("2026-02-01")
    await given.a_recorded("r2", routed(an_alert("a1", month=february)), month=february)
    await given.finished("r2", alerts=1)
    await given.recorded(await given.a_lease("r3"), routed("a7"))
    assert (await given.store.history.get_run("r3")).counts.withdrawn == 1_199
    rows = await given.sql("SELECT status, count(*) AS n FROM outbox GROUP BY status")
    assert {row["status"]: row["n"] for row in rows} == {"pending": 2, "withdrawn": 1_199}


async def test_standings_know_the_source(store: Store, given: Given) -> None:
    """What was recorded from the source asked about is told from what was not."""
    await _one_of_each(given)
    await given.recorded(await given.a_lease("r2", source=OTHER), routed("waits"))
    standings = await store.recording.standings(scope_of(MONTH), SOURCE)
    own = {an_alert(name).alert_id for name in ("sent", "doubt", "failed")}
    assert {alert_id for alert_id, standing in standings.items() if standing.same_source} == own
    assert len(standings) == 4
