"""Limits on requests that change something, for each caller: a principal, or else an address."""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.access import PRESSES, READING
from service.api.context import context_of
from service.api.errors import refusal
from service.domain.identity.login_errors import TooManyRequestsError
from service.domain.identity.principal import Principal, PrincipalKind


class RateLimitMiddleware:
    """Counts requests that may change something, and refuses those of a caller who has made too many.

    After authentication, so that it knows who asks, and that strangers use up nobody's count.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        # Slack's presses come from a few addresses, and are counted by who pressed.
        if scope["type"] == "http" and scope["method"] not in READING and scope["path"] != PRESSES:
            try:
                await context_of(scope["app"]).app.people.throttle.change(_caller(scope))
            except TooManyRequestsError as problem:
                await refusal(scope, problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _caller(scope: Scope) -> str:
    principal = scope.get("state", {}).get("principal")
    if isinstance(principal, Principal) and principal.kind is not PrincipalKind.ANONYMOUS:
        return principal.label
    client = scope.get("client")
    return f"address:{client[0] if client else ''}"
