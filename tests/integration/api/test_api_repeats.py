"""Requests that are made again under an Idempotency-Key: one run, one answer, however often they come."""

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.account_risk.kind import month_request
from service.domain.errors import InterruptedRunError
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.runs.admission import end_of_request, end_of_run
from service.runs.execute import execute_run
from service.runs.sweep import rescue_runs
from service.wiring import open_app
from tests.support.clocks import ScaledClock
from tests.support.house import AMER, House
from tests.support.rows import MONTH, account, accounts, write_source
from tests.support.served import RunningService, month_held_elsewhere, running_service, settings
from tests.support.waiting import until, wait_until


@pytest.fixture
def service(tmp_path: Path, slack: RunningMock) -> Iterator[RunningService]:
    """Return a service with an empty database, in January 2026."""
    opened = partial(open_app, clock=ScaledClock(1.0, start=datetime(2026, 1, 20, tzinfo=UTC)))
    given = settings(
        tmp_path,
        slack_webhook_base_url=slack.webhook_base_url,
        s3_endpoint_url="http://127.0.0.1:9",
        storage_timeout_s=0.5,
        s3_anon=True,
    )
    with running_service(given, opened=opened) as running:
        yield running


def asked(service: RunningService, uri: str, key: str | None, **body: Any) -> httpx2.Response:
    """Ask for a run of the month under a key."""
    headers = {} if key is None else {"Idempotency-Key": key}
    given = {"source_uri": uri, "month": MONTH} | body
    return service.client.post("/runs", json=given, headers=headers)


def run_ids(service: RunningService) -> list[str]:
    """Return the ids of all runs, newest first."""
    return [run["run_id"] for run in service.get("/runs")["runs"]]


def test_the_same_request_is_the_same_run(service: RunningService, source: str, slack: RunningMock) -> None:
    """The answer is the first one's, to the letter, and nothing is run again."""
    first, second = asked(service, source, "k"), asked(service, source, "k")
    assert (second.status_code, second.content) == (first.status_code, first.content) == (200, first.content)
    assert run_ids(service) == [first.json()["run_id"]]
    assert slack.stats().total.requests == 3
    assert asked(service, source, None).json() != first.json()


def test_a_month_is_the_same_however_it_is_spelled(service: RunningService, source: str) -> None:
    """What is compared is the month that `current` means."""
    first = asked(service, source, "k", month="current")
    assert asked(service, source, "k", month="2026-01-01").json() == first.json()
    assert asked(service, source, "k", month="previous").json()["error"] == "idempotency_key_reused"


def test_another_request_under_the_same_key_is_refused(service: RunningService, source: str) -> None:
    """No run is recorded for it."""
    first = asked(service, source, "k")
    refused = asked(service, source, "k", dry_run=True)
    assert (refused.status_code, refused.json()["error"]) == (422, "idempotency_key_reused")
    assert refused.json()["run_id"] is None
    assert run_ids(service) == [first.json()["run_id"]]


@pytest.mark.parametrize("key", [b"", b"x" * 256, "ключ".encode(), b"a\tb"])
def test_a_key_that_is_none_is_refused(service: RunningService, source: str, key: bytes) -> None:
    """1 to 255 printable ASCII characters; anything else is an invalid request."""
    headers = [(b"idempotency-key", key)]
    response = service.client.post("/runs", json={"source_uri": source, "month": MONTH}, headers=headers)
    assert (response.status_code, response.json()["error"]) == (422, "invalid_request")
    assert run_ids(service) == []


def test_an_error_is_repeated_with_its_run(service: RunningService, tmp_path: Path) -> None:
    """Also once the reason for it has gone: whoever wants to try again takes another key."""
    uri = (tmp_path / "late.parquet").as_uri()
    first = asked(service, uri, "k")
    assert (first.status_code, first.json()["error"]) == (404, "source_not_found")
    write_source(tmp_path / "late.parquet", [account(1)])
    second = asked(service, uri, "k")
    assert (second.status_code, second.content) == (404, first.content)
    assert run_ids(service) == [first.json()["run_id"]]
    assert asked(service, uri, "another").status_code == 200


def test_a_5xx_before_anything_was_recorded_is_not_kept(service: RunningService) -> None:
    """A storage that was away is tried again under the same key."""
    answers = [asked(service, "s3://bucket/a.parquet", "k") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [502, 502]
    assert [answer.json()["run_id"] for answer in answers] == run_ids(service)[::-1]
    assert len(run_ids(service)) == 2


def test_a_refusal_binds_no_key(service: RunningService, source: str) -> None:
    """What was never begun can be asked for again in other words."""
    assert asked(service, "ftp://x", "k").json()["error"] == "bad_source_uri"
    assert asked(service, source, "k").status_code == 200


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another instance"])
def test_a_request_made_again_while_its_run_goes_on_waits(
    service: RunningService, tmp_path: Path, source: str, slack: RunningMock, *, elsewhere: bool
) -> None:
    """It is answered when the run has ended, with the same; wherever the run may be."""
    given = settings(tmp_path, slack_webhook_base_url=slack.webhook_base_url)
    with running_service(given) as other, ThreadPoolExecutor() as pool:
        with month_held_elsewhere(tmp_path):
            first = pool.submit(asked, service, source, "k")
            wait_until(lambda: len(run_ids(service)) == 2)
            second = pool.submit(asked, other if elsewhere else service, source, "k")
            assert asked(other, source, "k", dry_run=True).status_code == 422
            assert not second.done()
        assert (second.result().status_code, second.result().content) == (200, first.result().content)
    assert len(run_ids(service)) == 2
    assert slack.stats().total.requests == 3


async def test_whoever_waits_hears_of_a_run_whose_process_died(house: House) -> None:
    """The run is closed by whoever notices, and that is the answer."""
    async with house.open() as desk:
        await _begun(desk.app.store)
        waiting = asyncio.create_task(end_of_run(desk.app, "r1"))
        await desk.app.clock.sleep(5)
        assert not waiting.done()
        _expire(house)
        await rescue_runs(desk.app)
        error = await waiting
    assert error is not None
    assert error.code == "interrupted"


async def test_whoever_waits_gets_the_answer_of_the_run_that_took_over(house: House) -> None:
    """The run's process stopped in the middle, and a new run of the same request sent the rest."""
    house.slack.script(AMER, Step(delay_s=0.2))
    source = house.source(accounts(3))
    request = month_request(SourceUri.parse(source), Month.parse(MONTH), idempotency_key="k")
    async with house.open(slack_concurrency=1) as desk:
        run = asyncio.create_task(execute_run(desk.app, request, run_id="r1", progress=Progress()))
        await until(lambda: house.slack.stats().total.requests, what="the first alert has left")
        desk.app.at_work.stop()
        with pytest.raises(InterruptedRunError):
            await run
    async with house.open() as desk:
        waiting = asyncio.create_task(end_of_request(desk.app, request, "r1"))
        taker = await desk.run(source)
        assert await waiting == (taker.run_id, None)


async def test_whoever_waits_is_let_go_when_the_service_stops(house: House) -> None:
    """With the id of the run, which goes on elsewhere."""
    async with house.open() as desk:
        await _begun(desk.app.store)
        waiting = asyncio.create_task(end_of_run(desk.app, "r1"))
        await desk.app.clock.sleep(5)
        desk.app.at_work.stop()
        with pytest.raises(InterruptedRunError) as stopped:
            await waiting
    assert stopped.value.run_id == "r1"


async def _begun(store: Any) -> None:
    request = month_request(SourceUri.parse("file:///x"), Month.of(date(2026, 1, 1)), idempotency_key="k")
    await store.runs.begin("r1", request, started_at=datetime(2026, 1, 1, tzinfo=UTC), lease_s=3_000)


def _expire(house: House) -> None:
    with sqlite3.connect(house.database) as ledger:
        ledger.execute("UPDATE runs SET expires_at = 0")
    ledger.close()
