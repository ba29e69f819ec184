"""The outermost layer of the API: every request is counted, under its route's template, and timed."""

from time import perf_counter
from typing import Final

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.context import context_of

UNMATCHED: Final = "unmatched"
"""The endpoint of every path that no route has: whatever callers make up, it is one label."""
_NO_ANSWER: Final = 499
"""nginx's status for a client that left before there was an answer."""


class MetricsMiddleware:
    """Counts requests; those that are refused before they are whole never come this far."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        # What is mounted changes it.
        root_path = scope.get("root_path", "")
        status = _NO_ANSWER

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            context_of(scope["app"]).metrics.answered(
                method=scope["method"],
                endpoint=_endpoint(scope, root_path),
                status=status,
                seconds=perf_counter() - started,
            )


def _endpoint(scope: Scope, root_path: str) -> str:
    """Return the template of the route; also of a request that was answered before it was routed."""
    route = scope.get("route")
    if route is None:
        asked = {**scope, "root_path": root_path}
        found = (each for each in scope["app"].routes if each.matches(asked)[0] is not Match.NONE)
        route = next(found, None)
    path: str = getattr(route, "path", UNMATCHED)
    return path
