"""Jobs: files that are scored in the background, how far they are, and what became of each row."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.api.context import Context, Opened
from service.api.csv_alerts import MEDIA_TYPE, prefers_csv
from service.api.csv_lines import csv_lines
from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.routes.following import followed
from service.api.routes.router import Routes
from service.api.v1.jobs.schemas import (
    JobOut,
    JobProgressOut,
    JobRowOut,
    JobRowsPageOut,
    JobsOut,
    JobsQuery,
    ResultsQuery,
)
from service.domain.default_risk.job import Job, JobRow
from service.domain.identity.permission import Permission
from service.domain.progress import Progress
from service.domain.run import Page
from service.store.jobs.jobs import Jobs

router = Routes("jobs", prefix="/api/v1/jobs")

Reader = Annotated[Caller, Depends(Needs(Permission.READ_COMPANIES))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_COMPANIES))]
JobId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("job_id"))]

_PAGE = 500
"""Rows that are held at once."""


@router.declare("GET", "List jobs, newest first", gives="jobs")
async def list_jobs(context: Opened, caller: Reader, query: Annotated[JobsQuery, Query()]) -> JobsOut:
    """List the jobs that the caller may see, of all instances."""
    page = await caller.app.store.default_risk.jobs.list(
        limit=query.limit, cursor=query.cursor, status=query.status
    )
    jobs = [job_out(context, job) for job in page.items]
    return JobsOut(jobs=jobs, next_cursor=page.next_cursor)


@router.declare("GET /{job_id}", "Show a job", gives="job")
async def get_job(context: Opened, caller: Reader, job_id: JobId) -> JobOut:
    """Show how far a job is, about how long it still takes, and what became of its rows."""
    return job_out(context, await caller.app.store.default_risk.jobs.get(job_id))


@router.declare(
    "GET /{job_id}/results",
    "List what became of a job's rows",
    "bad_cursor",
    gives="job_rows",
    csv="job_rows_csv",
    response_model=JobRowsPageOut,
)
async def list_results(
    caller: Reader,
    job_id: JobId,
    query: Annotated[ResultsQuery, Query()],
    request: Request,
    response: Response,
) -> JobRowsPageOut | StreamingResponse:
    """List the rows that are done, in the order of the file: scored, abstained on, or refused and why.

    With `Accept: text/csv` the answer is CSV for a spreadsheet: all rows that the filter lets through.
    """
    jobs = caller.app.store.default_risk.jobs
    if prefers_csv(",".join(request.headers.getlist("accept"))):
        return await _csv(jobs, job_id, query)
    response.headers["Vary"] = "Accept"
    page = await jobs.rows(job_id, limit=query.limit, cursor=query.cursor, outcome=query.outcome)
    return JobRowsPageOut.of(page)


async def _csv(jobs: Jobs, job_id: str, query: ResultsQuery) -> StreamingResponse:
    async def lines(seen: Page[JobRow]) -> AsyncIterator[str]:
        yield csv_lines([JobRowOut.model_fields])
        while True:
            yield csv_lines(JobRowOut.of(row).model_dump(mode="json").values() for row in seen.items)
            if seen.next_cursor is None:
                return
            seen = await jobs.rows(job_id, limit=_PAGE, cursor=seen.next_cursor, outcome=query.outcome)

    first = await jobs.rows(job_id, limit=_PAGE, cursor=query.cursor, outcome=query.outcome)
    return StreamingResponse(
        lines(first),
        media_type=f"{MEDIA_TYPE}; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="job-{job_id}.csv"', "Vary": "Accept"},
    )


@router.declare("POST /{job_id}/cancel", "Cancel a job", "job_finished", gives="job")
async def cancel_job(context: Opened, caller: Writer, job_id: JobId) -> JobOut:
    """Cancel a job, wherever it is at work: it ends before its next batch, and what was stored stays."""
    jobs, most_alerts = caller.app.store.default_risk.jobs, caller.app.policy.most_of_a_rule
    return job_out(context, await jobs.cancel(job_id, most_alerts=most_alerts))


async def _known_job(caller: Reader, job_id: JobId) -> Job:
    # A dependency, so that an unknown job is a 404 before a stream has begun.
    return await caller.app.store.default_risk.jobs.get(job_id)


@router.declare(
    "GET /{job_id}/events",
    "Follow a job as server-sent events",
    gives="job_events",
    media_type="text/event-stream",
    response_class=EventSourceResponse,
    response_description="Events until the job has ended.",
)
async def follow_job(
    context: Opened, caller: Reader, job: Annotated[Job, Depends(_known_job)]
) -> AsyncIterator[ServerSentEvent]:
    """Send a `progress` event for every change and one `job` event with the job as it ended.

    Their data are the schemas `JobProgressOut` and `JobOut`.
    """
    jobs = caller.app.store.default_risk.jobs
    events = followed(
        context.app, job, job.id, progress_of=partial(_progress, context), look=jobs.get, end=_ended
    )
    async for event in events:
        yield event


def job_out(context: Context, job: Job) -> JobOut:
    """Return a job as the API says it, with its progress as of now."""
    return JobOut.made(job, _progress(context, job))


def _progress(context: Context, job: Job) -> JobProgressOut | None:
    if job.finished_at is not None:
        return None
    # A job of another process is seen through its heartbeat; one of this one is seen live.
    at_work = context.app.at_work.runs.get(job.id)
    if at_work is None and job.progress is None:
        return JobProgressOut(rows_done=sum(job.rows.values()), rows_total=job.rows_total, seconds_left=None)
    progress = at_work.progress if at_work else Progress.of(job.progress or {})
    seconds = context.time_left.seconds(job.id, progress, now=context.app.clock.now().timestamp())
    return JobProgressOut(
        rows_done=progress.rows_done, rows_total=progress.rows_total or None, seconds_left=seconds
    )


def _ended(job: Job) -> ServerSentEvent:
    return ServerSentEvent(event="job", data=JobOut.made(job, None).model_dump(mode="json"))
