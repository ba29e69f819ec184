"""Runs: start one, follow it, list what it did, cancel it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.api import csv_alerts
from service.api.context import Context, Opened
from service.api.errors import error_response
from service.api.identity.caller import Caller, Needs, not_here_if_seen
from service.api.limits import while_connected
from service.api.openapi import LOGS, SOURCE
from service.api.parameters import AlertsQuery, ChangesQuery, IdempotencyKey, RunId, RunsQuery, WithdrawnQuery
from service.api.routes.router import Routes
from service.api.routes.run_bodies import check_source, month_of, request_of, run_out
from service.api.routes.run_events import run_events
from service.api.schemas.alert import AlertsOut, WithdrawalsOut
from service.api.schemas.evaluation import ChangesOut
from service.api.schemas.run import AnyRunIn, RunOut, RunsOut, RunStartedOut
from service.domain.errors import RiskAlertsError, RunNotFoundError, errors_by_code
from service.domain.identity.permission import Permission
from service.domain.progress import Progress
from service.domain.run import RunRecord, RunRequest
from service.runs.admission import end_of_request
from service.runs.context import App
from service.runs.execute import execute_run, new_run_id
from service.runs.interventions import cancel_run as cancel
from service.store.database.failures import DatabaseBusyError
from service.store.patience import retry_while_unavailable
from service.store.runs.idempotency import RequestedBeforeError
from service.telemetry.structured import structlog

# Limited here: a limit of the whole application would lie outside the middleware that gives it our shape.
router = Routes("runs")

MayRead = Annotated[Caller, Depends(Needs(Permission.READ_RUNS))]
MayRun = Annotated[Caller, Depends(Needs(Permission.WRITE_RUNS, here=True))]


@router.declare(
    "POST /runs",
    "Run a month, or a period of a log, and wait until its alerts have been delivered",
    *(*SOURCE, *LOGS, "plan_changed", "idempotency_key_reused", "too_many_runs", "slack_not_configured"),
    *("routing_not_configured", "database_not_durable", "interrupted", "cancelled", "ledger_imbalance"),
    gives="run_started",
    response_model=RunStartedOut,
)
async def start_run(
    context: Opened, caller: MayRun, body: AnyRunIn, http: Request, idempotency_key: IdempotencyKey = None
) -> RunStartedOut | JSONResponse:
    """Evaluate the source, deliver every alert that has not been sent yet, and answer when that is done.

    The run goes on if the client goes away. Running the same month or period again sends nothing twice.
    """
    app = caller.app
    request = request_of(context, body, idempotency_key)
    earlier = await retry_while_unavailable(
        app.clock, lambda: app.store.requests.run_of(request), retry_on=DatabaseBusyError
    )
    if earlier is None:
        try:
            return RunStartedOut(run_id=await _run(context, app, request))
        except RequestedBeforeError as before:
            earlier = before.run_id
    run_id, error = await while_connected(http, end_of_request(app, request, earlier))
    if error is not None:
        # A newer instance may have written a code that this one does not know.
        failure = errors_by_code().get(error.code, RiskAlertsError)
        return error_response(http.scope, failure, error.detail, run_id=run_id)
    return RunStartedOut(run_id=run_id)


async def _run(context: Context, app: App, request: RunRequest) -> str:
    context.runs.take()
    try:
        await check_source(context, request)
    except BaseException:
        context.runs.leave()
        raise
    run_id = new_run_id(app.clock.now())
    with structlog.contextvars.bound_contextvars(run_id=run_id):
        run = app.at_work.spawn(execute_run(app, request, run_id=run_id, progress=Progress()))
    # Left by the run, which goes on when this request is cancelled.
    run.add_done_callback(lambda _: context.runs.leave())
    # Shielded: what cancels this request must not cancel the run.
    await asyncio.shield(run)
    return run_id


@router.declare("GET /runs", "List runs, newest first", "bad_month", "bad_cursor", gives="runs")
async def list_runs(context: Opened, caller: MayRead, query: Annotated[RunsQuery, Query()]) -> RunsOut:
    """List the runs of all processes that share the database."""
    page = await caller.app.store.history.list_runs(
        limit=query.limit,
        cursor=query.cursor,
        period=None if query.month is None else str(month_of(context, query.month)),
        status=query.status,
        kind=query.kind,
    )
    return RunsOut.of(page)


@router.declare("GET /runs/{run_id}", "Show a run", gives="run running")
async def get_run(context: Opened, caller: MayRead, run_id: RunId) -> RunOut:
    """Show what a run was asked, how far it has come, and what it did."""
    return run_out(context, await caller.app.store.history.get_run(run_id))


@router.declare(
    "GET /runs/{run_id}/alerts",
    "List the alerts of a run and what became of each",
    "bad_cursor",
    gives="alerts restated",
    csv="alerts_csv",
    response_model=AlertsOut,
)
async def list_alerts(
    caller: MayRead,
    run_id: RunId,
    query: Annotated[AlertsQuery, Query()],
    request: Request,
    response: Response,
) -> AlertsOut | StreamingResponse:
    """List the alerts of a run in the order in which they are sent: by ARR, highest first.

    With `Accept: text/csv` the answer is CSV for a spreadsheet: a header row, then all alerts that the
    filters let through, in one answer unless a `limit` is given. A text that would be taken for a formula has
    an apostrophe before it.
    """
    if csv_alerts.prefers_csv(",".join(request.headers.getlist("accept"))):
        return await csv_alerts.alerts_csv(caller.app.store, run_id, query)
    response.headers["Vary"] = "Accept"
    page = await caller.app.store.history.list_alerts(
        run_id,
        outcome=query.outcome,
        route=query.region,
        restated=query.restated,
        limit=query.limit,
        cursor=query.cursor,
    )
    return AlertsOut.of(page)


@router.declare("POST /runs/{run_id}/cancel", "Cancel a run", "run_finished", gives="running")
async def cancel_run(context: Opened, caller: MayRun, run_id: RunId) -> RunOut:
    """Cancel a run, wherever it runs: from this answer on none of its alerts is claimed any more.

    It ends as `failed: cancelled` as soon as the requests in flight have been answered, and is never resumed.
    Undelivered alerts stay in the outbox for the next run of the period.
    """
    try:
        await cancel(caller.app, run_id)
    except RunNotFoundError as absent:
        await not_here_if_seen(caller, absent, run_id=run_id)
    return run_out(context, await caller.app.store.history.get_run(run_id))


@router.declare(
    "GET /runs/{run_id}/withdrawn",
    "List the alerts of earlier runs that are no longer in the data",
    "bad_cursor",
    gives="withdrawn",
)
async def list_withdrawn(
    caller: MayRead, run_id: RunId, query: Annotated[WithdrawnQuery, Query()]
) -> WithdrawalsOut:
    """List the alerts last recorded from the same source and period that are no longer in its data."""
    page = await caller.app.store.history.list_withdrawn(run_id, limit=query.limit, cursor=query.cursor)
    return WithdrawalsOut.of(page)


@router.declare("GET /runs/{run_id}/changes", "Show what a run changed", gives="changes")
async def run_changes(caller: MayRead, run_id: RunId, query: Annotated[ChangesQuery, Query()]) -> ChangesOut:
    """Show which alerts are new, continuing, reopened, recovered and withdrawn, with totals per region."""
    return ChangesOut.first(await caller.app.store.changes.of_run(run_id), query.limit)


async def _known_run(caller: MayRead, run_id: RunId) -> RunRecord:
    # A dependency, so that an unknown run is a 404 before a stream has begun.
    return await caller.app.store.history.get_run(run_id)


@router.declare(
    "GET /runs/{run_id}/events",
    "Follow a run as server-sent events",
    gives="events",
    media_type="text/event-stream",
    response_class=EventSourceResponse,
    response_description="Events until the run has finished.",
)
async def follow_run(
    context: Opened, caller: MayRead, record: Annotated[RunRecord, Depends(_known_run)]
) -> AsyncIterator[ServerSentEvent]:
    """Send a `progress` event for every change and one `run` event with the final record.

    Their data are the schemas `ProgressOut` and `RunOut`.
    """
    async for event in run_events(context, caller.app.store.history, record):
        yield event
