"""The outer layer of the API: ties log lines to the request's trace, and answers every error."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import BodyTooLargeError, error_response
from service.domain.errors import RiskAlertsError
from service.telemetry.logs import trace_fields
from service.telemetry.structured import structlog


class TracingMiddleware:
    """Binds the trace of the request for every line logged on its behalf, also by a run that outlives it.

    An exception that nobody foresaw is logged once, with its stack, and answered as `internal_error`.
    """

    def __init__(self, app: ASGIApp, *, project: str | None) -> None:
        self._app = app
        self._project = project

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = replaced = False

        async def watched(message: Message) -> None:
            nonlocal started, replaced
            if message["type"] == "http.response.start":
                started = True
                # The framework's limit on bodies answers in plain text, past every error handler.
                replaced = message["status"] == BodyTooLargeError.http_status and not _is_json(message)
                if replaced:
                    await error_response(scope, BodyTooLargeError, BodyTooLargeError.example)(
                        scope, receive, send
                    )
            if not replaced:
                await send(message)

        with structlog.contextvars.bound_contextvars(**trace_fields(_headers(scope), project=self._project)):
            try:
                await self._app(scope, receive, watched)
            except Exception as error:
                structlog.get_logger().error(
                    "request_failed", method=scope["method"], path=scope["path"], exc_info=error
                )
                if started:
                    # Only a broken connection can still show the client.
                    raise
                await error_response(scope, RiskAlertsError, RiskAlertsError.example)(scope, receive, send)


def _is_json(start: Message) -> bool:
    return (b"content-type", b"application/json") in start["headers"]


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
