"""Jobs at work: every row is stored once, whoever dies when; on SQLite and on PostgreSQL."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from service.domain.default_risk.job import (
    JobFinishedError,
    JobNotFoundError,
    JobStatus,
    RowOutcome,
)
from service.domain.default_risk.prediction import PredictionFilter
from service.domain.errors import CancelledRunError, InterruptedRunError, OvertakenError, SourceChangedError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.run import RunError
from service.jobs import execute
from service.jobs.execute import execute_job
from service.jobs.keep_working import take_job
from service.store.jobs import work
from service.store.jobs.work import JobWork
from service.wiring import App
from tests.support.companies import HEALTHY, csv_bytes
from tests.support.given import Given
from tests.support.jobs import all_rows, ledger, opened, rows_of, upload, worked


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch have four rows, so that a job has several."""
    monkeypatch.setattr(execute, "BATCH_ROWS", 4)


async def predicted(app: App) -> list[str]:
    """Return the symbols of all companies with a prediction, sorted."""
    page = await app.store.default_risk.predictions.list(PredictionFilter(), limit=1000)
    return sorted(each.company.symbol for each in page.items)


async def test_every_row_is_scored_abstained_on_a_duplicate_or_invalid(database_url: str) -> None:
    """The counts add up, and each row that was refused says why."""
    missing = dict.fromkeys(("net_income_margin", "return_on_assets", "ebit_to_interest_expense"), "NM")
    rows = [
        *rows_of(5),
        HEALTHY | missing | {"company_symbol": "GAP"},
        rows_of(1)[0],
        HEALTHY | {"company_symbol": "BAD", "reporting_year": "soon"},
    ]
    content = csv_bytes(rows) + b"one,cell,too,few\r\n"
    async with opened(database_url) as app:
        job = await upload(app.store, content)
        assert (job.status, ledger(job)) == (JobStatus.WAITING, (0, 0, 0, 0))
        assert await worked(app) is None
        job = await app.store.default_risk.jobs.get(job.id)
        found = await all_rows(app.store, job.id)
        assert await app.store.default_risk.job_work.part(job.id, 0) is None  # the upload is gone
    assert (job.status, ledger(job)) == (JobStatus.SUCCEEDED, (5, 1, 1, 2))
    assert [row.row for row in found] == list(range(2, 11))
    assert [row.outcome for row in found[:5]] == [RowOutcome.SCORED] * 5
    assert all(row.prediction_id and row.probability and row.reporting_year == 2025 for row in found[:5])
    problems = {row.row: (row.outcome, row.problem) for row in found[5:]}
    assert problems[7][0] == "abstained"
    assert "net_income_margin, ebit_to_interest_expense, return_on_assets" in (problems[7][1] or "")
    assert problems[8] == ("duplicate", work._PREDICTED_BEFORE)
    assert problems[9] == ("invalid", "reporting_year must be 1900 to 2100")
    assert problems[10][0] == "invalid"


async def test_the_same_file_again_finds_duplicates(database_url: str) -> None:
    """A client that sends its file twice has each prediction once."""
    async with opened(database_url) as app:
        await upload(app.store, rows_of(6))
        again = await upload(app.store, rows_of(6))
        assert await worked(app) is await worked(app) is None
        assert ledger(await app.store.default_risk.jobs.get(again.id)) == (0, 0, 6, 0)
        assert len(await predicted(app)) == 6


class DiedError(BaseException):
    """The process ends here: nothing is closed, nothing is released."""


async def lease_over(app: App) -> None:
    """Let the time pass that a job may be without a heartbeat."""
    await Given(app.store).sql("UPDATE jobs SET expires_at = 1 WHERE status = 'running'")


@pytest.mark.parametrize("after_commit", [False, True])
@pytest.mark.parametrize("stored", [0, 1, 2])
async def test_another_instance_goes_on_where_the_first_one_died(
    database_url: str, monkeypatch: pytest.MonkeyPatch, stored: int, *, after_commit: bool
) -> None:
    """Dead before or after the commit of whichever batch: no row is missing, and none is there twice."""
    record, left = JobWork.record, [stored]

    async def dying(*args: Any, **kwargs: Any) -> None:
        if left[0] or after_commit:
            await record(*args, **kwargs)
        if not left[0]:
            raise DiedError
        left[0] -= 1

    async with opened(database_url) as first, opened(database_url) as second:
        job = await upload(first.store, rows_of(10))
        with monkeypatch.context() as patched:
            patched.setattr(JobWork, "record", dying)
            with pytest.raises(DiedError):
                await worked(first)
        assert await take_job(second) is None  # its lease is not over
        await lease_over(first)
        assert await worked(second) is None
        assert ledger(await second.store.default_risk.jobs.get(job.id)) == (10, 0, 0, 0)
        assert [row.row for row in await all_rows(second.store, job.id)] == list(range(2, 12))
        assert await predicted(second) == sorted(f"C{number}" for number in range(10))


async def test_who_was_overtaken_stores_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance that froze while another one took its job over is refused, and closes nothing."""
    record = JobWork.record
    async with opened(database_url) as first, opened(database_url) as second:
        job = await upload(first.store, rows_of(10))

        async def freezing(*args: Any, **kwargs: Any) -> None:
            monkeypatch.setattr(JobWork, "record", record)
            await lease_over(first)
            assert await worked(second) is None
            await record(*args, **kwargs)

        monkeypatch.setattr(JobWork, "record", freezing)
        assert isinstance(await worked(first), OvertakenError)
        ended = await first.store.default_risk.jobs.get(job.id)
    assert (ended.status, ledger(ended)) == (JobStatus.SUCCEEDED, (10, 0, 0, 0))


async def test_a_cancelled_job_ends_before_its_next_batch(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored stays; to cancel twice is to cancel once, and what has ended cannot be cancelled."""
    record = JobWork.record
    async with opened(database_url) as app:
        jobs = app.store.default_risk.jobs
        job = await upload(app.store, rows_of(10))

        async def cancelling(*args: Any, **kwargs: Any) -> None:
            await record(*args, **kwargs)
            assert (await jobs.cancel(job.id, most_alerts=100)).status is JobStatus.RUNNING
            await jobs.cancel(job.id, most_alerts=100)

        monkeypatch.setattr(JobWork, "record", cancelling)
        assert isinstance(await worked(app), CancelledRunError)
        ended = await jobs.get(job.id)
        assert (ended.status, ledger(ended)) == (JobStatus.FAILED, (4, 0, 0, 0))
        assert ended.error == RunError(
            code="cancelled", detail="the job was cancelled after 4 rows, which stay"
        )
        with pytest.raises(JobFinishedError, match="it failed"):
            await jobs.cancel(job.id, most_alerts=100)


async def test_a_job_that_nobody_has_is_cancelled_at_once(database_url: str) -> None:
    """Whether it waits, or its instance has died."""
    async with opened(database_url) as app:
        jobs = app.store.default_risk.jobs
        waiting, dead = await upload(app.store, rows_of(1)), None
        assert (await jobs.cancel(waiting.id, most_alerts=100)).status is JobStatus.FAILED
        dead = await upload(app.store, rows_of(1))
        assert await take_job(app) is not None
        await lease_over(app)
        assert (await jobs.cancel(dead.id, most_alerts=100)).status is JobStatus.FAILED
        assert await take_job(app) is None
        with pytest.raises(JobNotFoundError):
            await jobs.cancel("nobody's", most_alerts=100)


async def test_a_process_that_stops_leaves_its_job_to_another(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and not only when its lease is over."""
    record = JobWork.record
    async with opened(database_url) as first, opened(database_url) as second:
        job = await upload(first.store, rows_of(10))

        async def stopping(*args: Any, **kwargs: Any) -> None:
            await record(*args, **kwargs)
            first.at_work.stop()

        with monkeypatch.context() as patched:
            patched.setattr(JobWork, "record", stopping)
            assert isinstance(await worked(first), InterruptedRunError)
        left = await second.store.default_risk.jobs.get(job.id)
        assert (left.status, ledger(left)) == (JobStatus.WAITING, (4, 0, 0, 0))
        assert await worked(second) is None
        assert ledger(await second.store.default_risk.jobs.get(job.id)) == (10, 0, 0, 0)


async def test_a_file_that_ends_every_process_is_given_up(database_url: str) -> None:
    """And one that nobody brought to its end for a day."""
    async with opened(database_url) as app:
        deadly = await upload(app.store, rows_of(1))
        for _ in range(work.MOST_TAKES):
            assert await take_job(app) is not None
            await lease_over(app)
        old = await upload(app.store, rows_of(1))
        assert await take_job(app) is not None  # the old one: the deadly one is closed on the way
        await lease_over(app)
        await Given(app.store).sql("UPDATE jobs SET started_at = '2020-01-01 00:00:00+00:00'")
        assert await take_job(app) is None
        jobs = app.store.default_risk.jobs
        ended = [await jobs.get(job.id) for job in (deadly, old)]
    assert [job.error and job.error.code for job in ended] == ["interrupted", "interrupted"]
    assert [job.error and job.error.detail for job in ended] == [work._GIVEN_UP, work._TOO_OLD]


async def test_instances_share_the_jobs(database_url: str) -> None:
    """Two at work at the same time: each job is one instance's, and the oldest goes first."""
    async with opened(database_url) as first, opened(database_url) as second:
        made = [await upload(first.store, rows_of(9, begin)) for begin in (0, 5, 10)]
        one, two = await take_job(first), await take_job(second)
        assert one is not None
        assert two is not None
        assert [one.job.id, two.job.id] == [made[0].id, made[1].id]
        await asyncio.gather(execute_job(first, one), execute_job(second, two), worked(first))
        ended = [await first.store.default_risk.jobs.get(job.id) for job in made]
        assert [job.status for job in ended] == [JobStatus.SUCCEEDED] * 3
        assert sum(job.rows[RowOutcome.SCORED] for job in ended) == 19
        assert sum(job.rows[RowOutcome.DUPLICATE] for job in ended) == 8
        assert len(await predicted(first)) == 19


async def test_refused_rows_are_counted_for_good_and_kept_up_to_a_limit(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of garbage does not fill the database."""
    monkeypatch.setattr(work, "REFUSED_KEPT", 6)
    bad = [HEALTHY | {"reporting_year": "soon"} for _ in range(10)]
    async with opened(database_url) as app:
        job = await upload(app.store, [*bad, *rows_of(2)])
        assert await worked(app) is None
        assert ledger(await app.store.default_risk.jobs.get(job.id)) == (2, 0, 0, 10)
        assert [row.row for row in await all_rows(app.store, job.id)] == [2, 3, 4, 5, 6, 7, 12, 13]


async def test_a_job_is_its_own_tenants_and_organisations(database_url: str) -> None:
    """Everybody else finds that it is absent; a `user` sees no jobs at all."""
    async with opened(database_url) as app:
        job = await upload(app.store, rows_of(1))
        tenant = job.tenant_id
        seen = {
            Scope.of_tenant(tenant): True,
            Scope.of_organization(tenant, job.organization_id): True,
            Scope.of_all(): True,
            Scope.of_tenant("11111111-2222-4333-8444-555555555555"): False,
            Scope.of_organization(tenant, "another"): False,
            Scope.of_user(tenant, "somebody"): False,
        }
        for scope, is_seen in seen.items():
            jobs = app.store.seen_by(Actor.system(tenant), scope).default_risk.jobs
            assert [each.id for each in (await jobs.list(limit=9)).items] == [job.id] * is_seen
            cancel = partial(jobs.cancel, most_alerts=100)
            for ask in (jobs.get, cancel) if not is_seen else (jobs.get,):
                with (
                    nullcontext()
                    if is_seen
                    else pytest.raises(JobNotFoundError, match=f"^{JobNotFoundError.example}$")
                ):
                    assert (await ask(job.id)).id == job.id


async def test_an_instance_takes_uploads_of_every_tenant_and_uris_of_its_own(
    database_url: str, tmp_path: Path
) -> None:
    """What lies behind a URI is read where it is known what may be read."""
    other = "11111111-2222-4333-8444-555555555555"
    (tmp_path / "companies.csv").write_bytes(csv_bytes(rows_of(5)))
    uri = (tmp_path / "companies.csv").as_uri()
    async with opened(database_url) as ours, opened(database_url, tenant_id=other) as theirs:
        named = await upload(theirs.store, b"", source_uri=uri)
        uploaded = await upload(theirs.store, rows_of(5, begin=3))
        assert await worked(ours) is None
        assert await take_job(ours) is None
        assert await worked(theirs) is None
        jobs = theirs.store.default_risk.jobs
        assert ledger(await jobs.get(uploaded.id)) == (5, 0, 0, 0)
        assert ledger(await jobs.get(named.id)) == (3, 0, 2, 0)


async def test_nobody_goes_on_with_another_file(database_url: str, tmp_path: Path) -> None:
    """A file that was replaced while its job was at work has other rows at the same places."""
    file = tmp_path / "companies.csv"
    file.write_bytes(csv_bytes(rows_of(5)))
    async with opened(database_url) as app:
        job = await upload(app.store, b"", source_uri=file.as_uri())
        claimed = await take_job(app)
        assert claimed is not None
        await app.store.default_risk.job_work.note_file(claimed, rows_total=5, version="of another file")
        await lease_over(app)
        assert isinstance(await worked(app), SourceChangedError)
        assert ledger(await app.store.default_risk.jobs.get(job.id)) == (0, 0, 0, 0)


async def test_an_ended_job_goes_with_its_rows_when_it_is_old(database_url: str) -> None:
    """What was predicted stays, and so do jobs that have not ended, however old they are."""
    async with opened(database_url) as app:
        done, waiting = await upload(app.store, rows_of(3)), await upload(app.store, rows_of(1))
        assert await worked(app) is None
        removed = await app.store.retention.prune(before=datetime.now(UTC) + timedelta(days=1))
        assert removed == {"job_rows": 3, "jobs": 1}
        jobs = app.store.default_risk.jobs
        assert [job.id for job in (await jobs.list(limit=9)).items] == [waiting.id]
        with pytest.raises(JobNotFoundError):
            await jobs.rows(done.id, limit=1)
        assert len(await predicted(app)) == 3
