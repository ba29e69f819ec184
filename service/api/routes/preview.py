"""The preview: what a run would send."""

from typing import Annotated

from fastapi import Depends, Query, Request

from service.api.context import Opened
from service.api.identity.caller import Caller, Needs
from service.api.limits import while_connected
from service.api.openapi import LOGS, SOURCE
from service.api.parameters import PreviewQuery
from service.api.routes.router import Routes
from service.api.routes.run_bodies import check_source, request_of
from service.api.schemas.preview import PreviewOut
from service.api.schemas.run import AnyRunIn
from service.domain.identity.permission import Permission
from service.domain.progress import Progress
from service.runs.preview import preview

router = Routes("preview")

MayRun = Annotated[Caller, Depends(Needs(Permission.WRITE_RUNS, here=True))]


@router.declare(
    "POST /preview",
    "Show what a run would send",
    *(*SOURCE, *LOGS, "too_many_runs", "ledger_imbalance"),
    gives="preview",
)
async def preview_run(
    context: Opened, caller: MayRun, body: AnyRunIn, query: Annotated[PreviewQuery, Query()], http: Request
) -> PreviewOut:
    """Show what a run would send, in its order; nothing is sent, claimed or written.

    It ends when the client hangs up.
    """
    request = request_of(context, body)
    context.previews.take()
    try:
        await check_source(context, request)
        work = preview(caller.app, request, limit=query.limit, progress=Progress())
        answer = await while_connected(http, work)
    finally:
        context.previews.leave()
    return PreviewOut.of(answer)
