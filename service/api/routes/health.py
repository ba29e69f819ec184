"""Health: whether the service can do its job."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from service.api.context import Opened
from service.api.errors import UnhealthyError
from service.api.openapi import answers
from service.api.schemas.health import HealthOut, UnhealthyOut
from service.domain.errors import DatabaseUnusableError

router = APIRouter()


@router.get(
    "/health",
    summary="Say whether the service can do its job",
    tags=["health"],
    responses=answers(examples=["healthy"])
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
    """Say whether the database can be read and written; a database that is merely busy is healthy."""
    try:
        return HealthOut(database=await context.app.store.health())
    except DatabaseUnusableError as problem:
        answer = UnhealthyOut(detail=problem.detail, run_id=None)
        return JSONResponse(answer.model_dump(), status_code=UnhealthyError.http_status)
