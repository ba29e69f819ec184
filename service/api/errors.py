"""Errors: every refusal and every failure leaves the API in one shape, with the status that its class says.

The classes here are of what only HTTP can ask; all others are in `service.domain.errors`.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from service.api.context import context_of
from service.api.schemas.error import ErrorOut
from service.api.v1 import envelope
from service.domain.errors import BadMonthError, RefusedError, RiskAlertsError, UsageError
from service.domain.identity.login_errors import TooManyRequestsError
from service.telemetry.access_events import NotAuthenticated
from service.telemetry.redaction import Redactor

MAX_BODY_BYTES: Final = 64 * 1024
"""A request is a URI and a month."""


class InvalidRequestError(UsageError, code="invalid_request"):
    """A path, header, query or body is not as OpenAPI says."""

    example = "body.dry_rum: Extra inputs are not permitted"


class MalformedRequestError(RefusedError, code="malformed_request", http_status=400):
    """This is no HTTP request that can be understood; `Host` missing or repeated included."""

    example = "the header Host must name one host, and a port where it is not the usual one"


class HostNotAllowedError(RefusedError, code="host_not_allowed", http_status=421):
    """The request is addressed to a host that is neither loopback nor among `ALLOWED_HOSTS`."""

    example = "the host 'risk-alerts.example' is not among ALLOWED_HOSTS"


class CrossSiteRequestError(RefusedError, code="cross_site_request", http_status=403):
    """A browser requests a change for another web site."""

    example = "another web site may not change anything here"


class NotFoundError(RefusedError, code="not_found", http_status=404):
    """There is no such path."""

    example = "Not Found"


class MethodNotAllowedError(RefusedError, code="method_not_allowed", http_status=405):
    """The path has no such method; the header `Allow` names those that it has."""

    example = "Method Not Allowed"


class BodyTooLargeError(RefusedError, code="body_too_large", http_status=413):
    """The body is larger than any request has reason to be."""

    example = f"the body is larger than {MAX_BODY_BYTES:,} bytes"


class UnsupportedMediaTypeError(RefusedError, code="unsupported_media_type", http_status=415):
    """The body is said to be something else than JSON; a form of another web site can send only that."""

    example = "the body must be JSON, and the header Content-Type must say so: application/json"


class UnhealthyError(RefusedError, code="unhealthy", http_status=503):
    """The service cannot do its job; its answer has a schema of its own."""

    example = "the database cannot be written: it is read-only"


class RequestTimeoutError(RefusedError, code="request_timeout", http_status=408):
    """The request took too long to arrive."""

    example = "the request took too long to arrive"


class RequestTooLargeError(RefusedError, code="request_too_large", http_status=431):
    """The request line and the headers are larger than any request has reason for."""

    example = "the request line and the headers are too large"


class TooManyConnectionsError(RefusedError, code="too_many_connections", http_status=503, retry_after_s=5):
    """Every connection that this process can hold is being answered."""

    example = "as many requests as this process can hold are being answered"


_BY_STATUS: Final[Mapping[int, type[RiskAlertsError]]] = {
    error.http_status: error for error in (NotFoundError, MethodNotAllowedError, BodyTooLargeError)
}
"""Of the statuses that the framework itself answers with."""

_MOST_PROBLEMS_SHOWN: Final = 5
_CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's status for an answer that nobody reads."""


def error_response(
    scope: Scope,
    error: type[RiskAlertsError],
    detail: str,
    *,
    run_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer for an error of the table: in the envelope where the request's path is under it.

    `details` are of a request that is not as OpenAPI says: the first field that is wrong, and why.
    """
    if envelope.wraps(scope):
        body = envelope.failure(scope, error, detail, details)
    else:
        body = ErrorOut(error=error.code, detail=detail, run_id=run_id).model_dump()
    headers = {**error_headers(error), **(headers or {})}
    return JSONResponse(body, status_code=error.http_status, headers=headers)


def refusal(scope: Scope, problem: RiskAlertsError, *, redact: Redactor | None = None) -> JSONResponse:
    """Return the answer for an error that was raised."""
    # How long a caller has to wait is known where the counting is done.
    headers = {"Retry-After": str(problem.wait_s)} if isinstance(problem, TooManyRequestsError) else None
    detail = redact(problem.detail) if redact is not None else problem.detail
    return error_response(scope, type(problem), detail, run_id=problem.run_id, headers=headers)


def error_headers(error: type[RiskAlertsError]) -> dict[str, str]:
    """Return what is answered beside the body: when to come again, or with what."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def install_error_handlers(api: FastAPI, redact: Redactor) -> None:
    """Make every error of `api` leave in the one shape.

    What nobody foresaw is left to the middleware.
    """

    async def declared(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RiskAlertsError):
            raise error
        if error.http_status == HTTPStatus.UNAUTHORIZED:
            context_of(request.app).app.events.emit(NotAuthenticated(code=error.code))
        return refusal(request.scope, error, redact=redact)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        problems = error.errors()
        about_month = all("month" in problem["loc"] for problem in problems)
        return error_response(
            request.scope,
            BadMonthError if about_month else InvalidRequestError,
            redact(_sentence(problems)),
            details={"field": redact(_field(problems[0])), "reason": redact(problems[0]["msg"])},
        )

    async def framework(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        headers = dict(error.headers or {})
        if error.status_code == MethodNotAllowedError.http_status:
            # The framework names the methods of the first route with this path alone.
            headers["Allow"] = ", ".join(sorted(_methods(api.routes, request)))
        # Whatever else the framework refuses is the request's fault.
        is_ours = error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        default = RiskAlertsError if is_ours else InvalidRequestError
        known = _BY_STATUS.get(error.status_code, default)
        return error_response(request.scope, known, str(error.detail), headers=headers)

    async def unheard(_: Request, __: Exception) -> Response:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)

    api.add_exception_handler(ClientDisconnect, unheard)
    api.add_exception_handler(RiskAlertsError, declared)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(HTTPException, framework)


def _methods(routes: Iterable[BaseRoute], request: Request) -> set[str]:
    """Return the methods of all routes that have the path of a request."""
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in found if isinstance(route, Route) for method in route.methods or ()}


def _field(problem: Mapping[str, Any]) -> str:
    """Return which part of a request is wrong, such as `body.month`."""
    # Known by now: a body was looked at.
    from service.api.schemas.run import KINDS  # noqa: PLC0415  # a start needs no body

    place = problem["loc"]
    # A body that may be of several kinds is known by its fields, whichever kind it is.
    parts = (place[0], *place[2:]) if place[1:2] and place[1] in KINDS else place
    return ".".join(str(part)[:60] for part in parts)


def _sentence(problems: Sequence[Mapping[str, Any]]) -> str:
    """Say what is wrong with a request without repeating its values, which may hold secrets."""
    shown = [f"{_field(problem)}: {problem['msg']}" for problem in problems[:_MOST_PROBLEMS_SHOWN]]
    more = len(problems) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
