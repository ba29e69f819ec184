"""Headers of every answer: the request's id, and what keeps browsers from lending the answer to others."""

import re
import secrets
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry.structured import structlog

REQUEST_ID: Final = "X-Request-Id"
_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
"""A caller's id goes into the log as it is."""

_PAGES: Final = ("/docs", "/static-offline-docs/")
"""The pages of the documentation: files of a package, with a script of its own in the page."""
_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OF_ANSWERS: Final = _COMMON | {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_OF_PAGES: Final = _COMMON | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
}


class AnswerHeadersMiddleware:
    """Gives every request an id, which its log lines, its answer and `scope["state"]` have.

    Outermost, so that no answer is without: also the lines of a run that outlives its request have the id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        headers = answer_headers(scope["path"], request_id)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in headers.items():
                    given.setdefault(name, value)
            await send(message)

        scope.setdefault("state", {})["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, with_headers)


def answer_headers(path: str, request_id: str) -> dict[str, str]:
    """Return the headers of the answer to a request for `path`, beside those that its route sets."""
    headers = _OF_PAGES if path.startswith(_PAGES) else _OF_ANSWERS
    return {REQUEST_ID: request_id, **headers}


def new_request_id() -> str:
    """Return an id that no other request has."""
    return secrets.token_hex(16)


def _request_id(scope: Scope) -> str:
    """Return the id of a request: the caller's where it is one sane value, else a new one."""
    given = Headers(scope=scope).getlist(REQUEST_ID)
    return given[0] if len(given) == 1 and _SANE.fullmatch(given[0]) else new_request_id()
