"""Metrics: what Prometheus reads of this process, and of the ledger that it shares."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from service.api.context import Opened
from service.api.openapi import answers
from service.domain.errors import DatabaseUnusableError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope

if TYPE_CHECKING:
    from service.store.ledger_state import LedgerState

PATIENCE_S: Final = 5.0
"""How long the database may take; Prometheus itself waits for 10 s."""

router = APIRouter()


@router.get(
    "/metrics",
    summary="Say what Prometheus reads",
    tags=["health"],
    response_class=PlainTextResponse,
    responses=answers(
        *("malformed_request", "unauthenticated", "database_unusable", "internal_error"),
        examples=["metrics"],
        media_type="text/plain",
    ),
)
async def metrics(context: Opened) -> PlainTextResponse:
    """Give counters of this process, and gauges of the ledger as it is now, in Prometheus's text format.

    They are of all tenants and name none. While the database does not answer, the counters are there all the
    same. Where everybody is asked who they are, `INTERNAL_SERVICE_KEY` is asked for, as `X-Service-Key` or
    as the bearer.
    """
    app = context.app
    state: LedgerState | None = None
    with suppress(DatabaseUnusableError, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            every = app.store.seen_by(Actor.system(app.tenant_id), Scope.of_all())
            state = await every.ledger_states.now()
    text = context.metrics.text(state, at=app.clock.now())
    return PlainTextResponse(text, media_type=context.metrics.content_type)


router.add_api_route("/metrics", metrics, methods=["HEAD"], include_in_schema=False)
