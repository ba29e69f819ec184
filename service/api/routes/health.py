"""Health: whether the process lives, whether it can do its job, and where to read on."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from service.api.context import Opened
from service.api.errors import UnhealthyError
from service.api.openapi import EVERYWHERE, answers
from service.api.schemas.health import ChecksOut, Configured, HealthOut, LiveOut, ServiceOut, UnhealthyOut
from service.domain.errors import DatabaseUnusableError
from service.runs.context import App

router = APIRouter()


@router.get(
    "/",
    summary="Say what this is and where to go",
    tags=["health"],
    responses=answers(*EVERYWHERE, examples=["service"]),
)
async def what_this_is() -> ServiceOut:
    """Name the service and its pages."""
    return ServiceOut()


@router.get(
    "/live",
    summary="Say whether the process lives",
    tags=["health"],
    responses=answers("malformed_request", "internal_error", examples=["live"]),
)
async def live() -> LiveOut:
    """Answer, and nothing else: for liveness probes.

    A process that waits for its database lives; to restart it would not help. Whether it can do its job is
    `/health`.
    """
    return LiveOut()


# Probes that ask for the head alone; the document would show each of them twice.
router.add_api_route("/live", live, methods=["HEAD"], include_in_schema=False)


@router.get(
    "/health",
    summary="Say whether the service can do its job",
    tags=["health"],
    responses=answers("malformed_request", "internal_error", examples=["healthy"])
    | {
        UnhealthyError.http_status: {
            "model": UnhealthyOut,
            "description": "The database is unreadable, read-only or full.",
            "content": {"application/json": {"examples": {UnhealthyError.code: {}}}},
        }
    },
    response_model=HealthOut,
)
async def health(context: Opened) -> HealthOut | JSONResponse:
    """Say whether the database can be read and written; a database that is merely busy is healthy.

    So is a service whose models cannot be used: it goes on alerting.
    """
    app = context.app
    now = app.clock.now()
    try:
        database = await app.store.health()
        models = await context.models.look()
    except DatabaseUnusableError as problem:
        checks = ChecksOut(database="unusable", models="unknown", **_configured(app))
        answer = UnhealthyOut(detail=problem.detail, run_id=None, checks=checks, timestamp=now)
        return JSONResponse(answer.model_dump(mode="json"), status_code=UnhealthyError.http_status)
    checks = ChecksOut(
        database=database, models="ok" if all(models.values()) else "unusable", **_configured(app)
    )
    return HealthOut(database=database, checks=checks, models=models, timestamp=now)


def _configured(app: App) -> Configured:
    return {
        "slack": "configured" if app.channels.is_configured else "not_configured",
        "routing": "configured" if app.channels.names else "not_configured",
    }


router.add_api_route("/health", health, methods=["HEAD"], response_model=HealthOut, include_in_schema=False)
