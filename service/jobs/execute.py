"""The job: its file is read, scored and stored batch by batch, until it ends or this instance has to stop.

A job is no run: it sends nothing, its rows are an organisation's, and it goes on in the middle of its file.
It shares with runs what keeps two processes apart: heartbeat, halt and epoch.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final, TypeVar

from service.default_risk.levels import RiskThresholds
from service.default_risk.model import with_prior
from service.default_risk.model_file import parse_model
from service.default_risk.reading.companies import read_companies
from service.default_risk.reading.tables import read_records, rows_in
from service.default_risk.units import Units
from service.domain.default_risk.job import ClaimedJob, JobBatch
from service.domain.default_risk.prediction import ModelRecord
from service.domain.errors import InterruptedRunError, OvertakenError, RiskAlertsError, SourceChangedError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.progress import Phase, Progress
from service.jobs.batches import batches
from service.jobs.file import opened_source, opened_upload
from service.runs.at_work import RunAtWork
from service.runs.context import App
from service.runs.heartbeat import Heartbeat, heartbeat
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.garbage import rare_collections
from service.store.jobs.work import JobWork
from service.store.patience import retry_while_unavailable
from service.telemetry.job_events import JobFailed, JobFinished, JobNotClosed, JobReleased, JobTaken

T = TypeVar("T")

MOST_ROWS: Final = 5_000_000
"""Of one job."""
BATCH_ROWS: Final = 4096
"""What is stored in one transaction: nobody else can write meanwhile."""


async def execute_job(app: App, claimed: ClaimedJob) -> None:
    """Work on a job until it has ended, or has to be left; raises RiskAlertsError unless it succeeded."""
    job = claimed.job
    tenant = Actor.system(job.tenant_id), Scope.of_system(job.tenant_id)
    store = app.store.seen_by(*tenant).default_risk.job_work
    progress = Progress(rows_done=sum(job.rows.values()), rows_total=job.rows_total or 0)
    app.events.emit(JobTaken(job_id=job.id, next_row=claimed.next_row, taken_over=claimed.epoch > 1))
    with app.at_work.entered(job.id, progress) as at_work, rare_collections():
        async with heartbeat(app, job.id, at_work, keep_alive=store.keep_alive) as beat:
            beat.epoch = claimed.epoch
            await _Work(app, store, claimed, at_work, beat).execute()


class _Work:
    """One job under way."""

    def __init__(
        self, app: App, store: JobWork, claimed: ClaimedJob, at_work: RunAtWork, beat: Heartbeat
    ) -> None:
        self._app = app
        self._store = store
        self._claimed = claimed
        self._job = claimed.job
        self._progress = at_work.progress
        self._beat = beat

    async def execute(self) -> None:
        """Do the work, and close the job whatever became of it, or leave it for another instance."""
        try:
            model = await self._retry(lambda: self._store.model(self._claimed))
            with ExitStack() as stack:
                await self._store_all(await self._open(stack, model), model)
        except OvertakenError:
            raise  # another instance has closed it, or goes on with it
        except InterruptedRunError:
            self._app.events.emit(JobReleased(job_id=self._job.id))
            await self._end(lambda: self._store.release(self._claimed))
            raise
        except RiskAlertsError as error:
            await self._close(error)
            raise
        except Exception as problem:
            self._app.events.emit(JobFailed(job_id=self._job.id, exc_info=problem))
            unforeseen = RiskAlertsError("the job failed for a reason that nobody foresaw; the log has it")
            await self._close(unforeseen)
            raise unforeseen from problem
        await self._close(None)

    async def _open(self, stack: ExitStack, record: ModelRecord) -> Iterator[JobBatch]:
        """Return the batches of the file that are not stored yet; they are scored when they are asked for.

        Raises SourceChangedError where it is another file than the one that the job began with, and what
        makes a file unusable.
        """
        job = self._job
        content = None if job.source_uri is not None else await self._upload()

        def opened() -> tuple[Iterator[JobBatch], str, int]:
            model = parse_model(record.content, record.name)
            if job.source_uri is None:
                reader, file = opened_upload(content or b"", job.file_name)
            else:
                reader, file = opened_source(job.source_uri, self._app.storage, stack)
            if self._claimed.source_version not in {None, file.version}:
                raise SourceChangedError(f"{file.name} was replaced while the job was at work on it")
            rows_total = rows_in(reader, file, most=MOST_ROWS)
            units = None if job.units is None else Units(job.units)
            records = read_records(reader, file, sheet=job.sheet, batch_rows=BATCH_ROWS)
            companies = read_companies(records, job.kind, file=file.name, units=units)
            scored = batches(
                companies,
                with_prior(model, job.prior),
                RiskThresholds.parse(job.thresholds),
                next_row=self._claimed.next_row,
            )
            return scored, file.version, rows_total

        found, version, rows_total = await run_in_daemon_thread(opened)
        self._progress.rows_total = rows_total
        await self._retry(
            lambda: self._store.note_file(self._claimed, rows_total=rows_total, version=version)
        )
        return found

    async def _upload(self) -> bytes:
        parts: list[bytes] = []
        while (part := await self._retry(lambda: self._store.part(self._job.id, len(parts)))) is not None:
            parts.append(part)
        return b"".join(parts)

    async def _store_all(self, found: Iterator[JobBatch], model: ModelRecord) -> None:
        """Store the batches one by one; between two of them the job can be cancelled and released."""
        self._progress.phase = Phase.SCANNING
        lease_s = self._app.policy.lease_s
        while (batch := await run_in_daemon_thread(next, found, None)) is not None:
            if self._app.at_work.stopping.is_set():
                raise InterruptedRunError("the service was stopped before the job could finish")
            record = partial(self._store.record, self._claimed, batch, model, lease_s=lease_s)
            await self._retry(record)
            self._progress.rows_done += len(batch.numbers) + len(batch.refused)

    async def _close(self, error: RiskAlertsError | None) -> None:
        most_alerts = self._app.policy.most_of_a_rule
        finish = partial(self._store.finish, self._claimed, error, most_alerts=most_alerts)
        if (job := await self._end(finish)) is not None:
            self._app.events.emit(JobFinished(job=job))

    async def _end(self, verb: Callable[[], Awaitable[T]]) -> T | None:
        """Leave or close the job; where not even that can be written, its lease runs out by itself."""
        self._beat.is_closing = True
        try:
            return await self._retry(verb)
        except OvertakenError:
            raise
        except RiskAlertsError as problem:
            self._app.events.emit(JobNotClosed(job_id=self._job.id, exc_info=problem))
            return None

    async def _retry(self, verb: Callable[[], Awaitable[T]]) -> T:
        return await retry_while_unavailable(self._app.clock, verb)
