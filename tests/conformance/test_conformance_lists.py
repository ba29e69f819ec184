"""What can be asked about runs, a page at a time."""

import base64
from typing import Any

import pytest

from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.errors import BadCursorError
from service.domain.month import Month
from service.domain.run import Page, RunAlert, RunStatus
from tests.support.alerts import MONTH, an_alert
from tests.support.given import LEASE_S, NOW, Given, every, routed, the_answer


async def _all_runs(given: Given, *, limit: int) -> list[str]:
    return [run.run_id for run in await every(given.store.history.list_runs, limit=limit)]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
async def test_runs_come_newest_first_in_pages_of_any_size(given: Given, limit: int) -> None:
    """Every run is on exactly one page."""
    for number in range(5):
        await given.a_run(f"r{number}")
    assert await _all_runs(given, limit=limit) == ["r4", "r3", "r2", "r1", "r0"]


async def test_runs_that_began_at_the_same_moment_are_all_listed(given: Given) -> None:
    """Equal times do not hide a run between two pages."""
    for name in "abcd":
        await given.a_run(name)
    assert await _all_runs(given, limit=1) == ["d", "c", "b", "a"]


async def test_paging_does_not_notice_new_runs(given: Given) -> None:
    """Runs that begin while somebody pages neither repeat nor hide another."""
    for number in range(4):
        await given.a_run(f"r{number}")
    first = await given.store.history.list_runs(limit=2)
    await given.a_run("r9")
    second = await given.store.history.list_runs(limit=2, cursor=first.next_cursor)
    assert [run.run_id for run in (*first.items, *second.items)] == ["r3", "r2", "r1", "r0"]


async def test_runs_are_filtered_by_month_status_and_kind(given: Given) -> None:
    """The filters go together, and with a cursor."""
    february = Month.parse("2026-02-01")
    for number, month in enumerate([february, MONTH, february, february]):
        await given.a_run(f"r{number}", month=month)
    await given.finished("r0")
    listed = await given.store.history.list_runs(limit=9, period=str(february))
    assert [run.run_id for run in listed.items] == ["r3", "r2", "r0"]
    running = await given.store.history.list_runs(limit=1, period=str(february), status=RunStatus.RUNNING)
    assert [run.run_id for run in running.items] == ["r3"]
    rest = await given.store.history.list_runs(
        limit=5, period=str(february), status=RunStatus.RUNNING, cursor=running.next_cursor
    )
    assert [run.run_id for run in rest.items] == ["r2"]
    await given.sql("UPDATE runs SET kind = 'outbox' WHERE run_id = 'r3'")
    of_kind = await given.store.history.list_runs(limit=9, kind="account_risk")
    assert [run.run_id for run in of_kind.items] == ["r2", "r1", "r0"]


async def test_a_run_that_nobody_works_on_is_released(given: Given) -> None:
    """Once its alerts are recorded and its lease has run out, until it is resumed, cancelled or closed."""
    history = given.store.history
    lease = await given.a_lease("r1")
    await given.expired("r1")
    assert (await history.get_run("r1")).status is RunStatus.RUNNING  # it cannot be resumed
    await given.recorded(lease, routed("a"))
    assert (await history.get_run("r1")).status is RunStatus.RELEASED
    await given.a_run("r2")
    for status, run_id in ((RunStatus.RELEASED, "r1"), (RunStatus.RUNNING, "r2")):
        (listed,) = (await history.list_runs(limit=9, status=status)).items
        assert (listed.run_id, listed.status) == (run_id, status)
    await given.store.rescue.resume("r1", since=NOW, now=NOW, lease_s=LEASE_S)
    assert (await history.get_run("r1")).status is RunStatus.RUNNING


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


GARBAGE = ("", "x", "====", "é", "\0", "a" * 9999, "bnVsbA", *map(_encoded, ("{}", "[1]", "true")))
OF_OTHERS = {
    "list_runs": ("3", '"nobody"', '"a\\u0000"'),
    "list_alerts": ('"r1"', "1.5", str(2**64 - 1), "-9"),
    "list_withdrawn": ("3", '"abc"'),
}
"""What each list does not hand out as a cursor, though another one might."""


@pytest.mark.parametrize(
    ("name", "cursor"),
    [(name, each) for name, others in OF_OTHERS.items() for each in (*GARBAGE, *map(_encoded, others))],
)
async def test_a_cursor_of_another_list_is_refused(given: Given, name: str, cursor: str) -> None:
    """A cursor that this list did not hand out is an error of the caller's, never one of the database."""
    await given.a_run("r1")
    of_run = () if name == "list_runs" else ("r1",)
    with pytest.raises(BadCursorError):
        await getattr(given.store.history, name)(*of_run, limit=1, cursor=cursor)


@pytest.mark.parametrize("limit", [1, 2, 5, 9])
async def test_alerts_come_in_the_order_of_sending(given: Given, limit: int) -> None:
    """Every alert of a run is on exactly one page, also while its state changes between two pages."""
    lease = await given.a_lease("r1")
    names = [f"a{number}" for number in (3, 1, 4, 0, 5)]
    await given.recorded(lease, routed(*names))

    async def page_and_send(**asked: Any) -> Page[RunAlert]:
        page = await given.store.history.list_alerts("r1", **asked)
        await given.all_sent(lease)
        return page

    assert [item.alert.subject for item in await every(page_and_send, limit=limit)] == names


async def test_alerts_are_filtered_by_outcome_and_region(given: Given) -> None:
    """Filters look at what the run did, live and afterwards, and match regions exactly."""
    lease = await given.a_lease("r1")
    regions = {"a": "AMER", "b": "EMEA", "c": "AMER", "d": None, "e": "amer"}
    await given.recorded(
        lease, routed(*(an_alert(name, account_region=region) for name, region in regions.items()))
    )
    a, b, *_ = await given.pending(lease)
    await given.claimed(lease, [a, b])
    await given.settled(lease, the_answer(a), the_answer(b, DeliveryStatus.FAILED, reason=Reason.GONE))

    async def names(**filters: object) -> list[str]:
        page = await given.store.history.list_alerts("r1", limit=9, **filters)  # type: ignore[arg-type]
        return [item.alert.subject for item in page.items]

    assert await names(route="AMER") == ["a", "c"]
    assert await names(route="AMER\0") == []
    assert await names(outcome=Outcome.SENT) == ["a"]
    assert await names(outcome=Outcome.PENDING) == ["c", "d", "e"]
    await given.finished("r1", alerts=5)
    assert await names(outcome=Outcome.PENDING) == []
    assert await names(outcome=Outcome.UNSENT, route="AMER") == ["c"]


async def test_counts_are_live_while_the_run_runs_and_fixed_afterwards(given: Given) -> None:
    """The numbers of a running run follow the outbox; those of a finished one are what it reported."""
    lease, (a, b, _) = await given.a_recorded("r1", routed("a", "b", "c") + routed("d", channel=None))
    live = (await given.store.history.get_run("r1")).counts
    assert (live.alerts, live.alerts_sent, live.failed_deliveries, live.unknown_region) == (4, 0, 1, 1)
    await given.claimed(lease, [a, b])
    await given.settled(lease, the_answer(a), the_answer(b, DeliveryStatus.FAILED, reason=Reason.GONE))
    live = (await given.store.history.get_run("r1")).counts
    assert (live.alerts_sent, live.failed_deliveries, live.unknown_region, live.unsent) == (1, 2, 1, 0)
    (listed,) = (await given.store.history.list_runs(limit=1)).items
    assert listed.counts == live
    await given.finished("r1", alerts=4)
    closed = await given.store.history.get_run("r1")
    assert (closed.counts.alerts_sent, closed.counts.failed_deliveries, closed.counts.unsent) == (1, 2, 1)
    assert closed.ledger is not None
    assert closed.ledger.outcomes == {Outcome.SENT: 1, Outcome.FAILED: 2, Outcome.UNSENT: 1}
    assert closed.finished_at is not None
    assert closed.finished_at > NOW


async def test_a_run_shows_at_most_ten_alerts_and_ten_errors(given: Given) -> None:
    """The samples are the first ten, in the order of sending."""
    await given.a_recorded("r1", routed(*(f"a{number:02}" for number in range(12)), channel=None))
    run = await given.store.history.get_run("r1")
    expected = [f"a{number:02}" for number in range(10)]
    assert [item.alert.subject for item in run.sample_alerts] == expected
    assert [item.alert.subject for item in run.sample_errors] == expected


async def test_what_an_evaluation_found_comes_back(given: Given) -> None:
    """Ledger and warnings are given back as they were noted."""
    await given.a_recorded("r1", routed("a"))
    run = await given.store.history.get_run("r1")
    assert run.ledger is not None
    assert (run.ledger.rows["rows_in_source"], run.counts.duplicates) == (7, 1)
    assert [warning.code for warning in run.warnings] == ["near_miss_status"]
