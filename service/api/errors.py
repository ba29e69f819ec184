"""Errors: every refusal and every failure leaves the API in one shape, and this table gives it its status."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.api.schemas.run import ErrorOut
from service.domain.errors import RiskAlertsError
from service.telemetry.redaction import Redactor

STATUS: Final[Mapping[str, HTTPStatus]] = MappingProxyType(
    {
        # The request.
        "bad_month": HTTPStatus.UNPROCESSABLE_ENTITY,
        "bad_source_uri": HTTPStatus.UNPROCESSABLE_ENTITY,
        "bad_cursor": HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request": HTTPStatus.UNPROCESSABLE_ENTITY,
        "source_not_allowed": HTTPStatus.FORBIDDEN,
        "idempotency_key_reused": HTTPStatus.UNPROCESSABLE_ENTITY,
        "too_many_runs": HTTPStatus.TOO_MANY_REQUESTS,
        "run_not_found": HTTPStatus.NOT_FOUND,
        "run_finished": HTTPStatus.CONFLICT,
        "alert_not_found": HTTPStatus.NOT_FOUND,
        "not_in_doubt": HTTPStatus.CONFLICT,
        "not_found": HTTPStatus.NOT_FOUND,
        "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
        "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        # The source.
        "source_not_found": HTTPStatus.NOT_FOUND,
        "source_not_parquet": HTTPStatus.UNPROCESSABLE_ENTITY,
        "schema_mismatch": HTTPStatus.UNPROCESSABLE_ENTITY,
        "month_not_in_source": HTTPStatus.UNPROCESSABLE_ENTITY,
        "memory_limit_exceeded": HTTPStatus.UNPROCESSABLE_ENTITY,
        "source_changed": HTTPStatus.CONFLICT,
        "storage_unreachable": HTTPStatus.BAD_GATEWAY,
        "storage_access_refused": HTTPStatus.BAD_GATEWAY,
        "plan_changed": HTTPStatus.CONFLICT,
        # The service.
        "slack_not_configured": HTTPStatus.SERVICE_UNAVAILABLE,
        "routing_not_configured": HTTPStatus.SERVICE_UNAVAILABLE,
        "database_not_durable": HTTPStatus.SERVICE_UNAVAILABLE,
        "database_unusable": HTTPStatus.SERVICE_UNAVAILABLE,
        "database_schema_newer": HTTPStatus.SERVICE_UNAVAILABLE,
        "interrupted": HTTPStatus.SERVICE_UNAVAILABLE,
        "cancelled": HTTPStatus.CONFLICT,
        "unhealthy": HTTPStatus.SERVICE_UNAVAILABLE,
        "ledger_imbalance": HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""Of every code that the API can answer with."""

DETAIL_OF_UNEXPECTED: Final = "something unexpected went wrong; the service's log says what"
MAX_BODY_BYTES: Final = 64 * 1024
"""A request is a URI and a month."""
DETAIL_OF_TOO_LARGE: Final = f"the body is larger than {MAX_BODY_BYTES:,} bytes"

_CODE_BY_STATUS: Final[Mapping[int, str]] = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
}
"""Of the statuses that the framework itself answers with."""

HEADERS: Final[Mapping[str, Mapping[str, str]]] = {"too_many_runs": {"Retry-After": "5"}}
"""What is said beside the body: when it is worth while to come again."""

_MOST_PROBLEMS_TOLD: Final = 5


def error_response(
    code: str, detail: str, *, run_id: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error `code` of the table."""
    body = ErrorOut(error=code, detail=detail, run_id=run_id)
    headers = {**HEADERS.get(code, {}), **(headers or {})}
    return JSONResponse(body.model_dump(), status_code=STATUS[code], headers=headers)


def install_error_handlers(api: FastAPI, redact: Redactor) -> None:
    """Make every error of `api` leave in the one shape; what nobody foresaw is left to the middleware."""

    async def told(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RiskAlertsError):
            raise error
        return error_response(error.code, redact(error.detail), run_id=error.run_id)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        problems = error.errors()
        about_month = all("month" in problem["loc"] for problem in problems)
        return error_response("bad_month" if about_month else "invalid_request", redact(_sentence(problems)))

    async def framework(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        code = _CODE_BY_STATUS.get(error.status_code)
        if code is None:
            # Whatever else the framework refuses is the request's fault.
            code = (
                "invalid_request"
                if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
                else "internal_error"
            )
        return error_response(code, str(error.detail), headers=error.headers)

    api.add_exception_handler(RiskAlertsError, told)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(HTTPException, framework)


def _sentence(problems: Sequence[Mapping[str, Any]]) -> str:
    """Say what is wrong with a request without repeating its values, which may hold secrets."""
    told = [
        f"{'.'.join(str(part)[:60] for part in problem['loc'])}: {problem['msg']}"
        for problem in problems[:_MOST_PROBLEMS_TOLD]
    ]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")
