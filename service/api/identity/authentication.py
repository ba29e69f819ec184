"""Authentication, at the door: nothing is routed for a request before it is known who makes it."""

from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.access import PRESSES
from service.api.context import context_of
from service.api.errors import refusal
from service.domain.errors import RiskAlertsError
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.principal import Principal, PrincipalKind
from service.telemetry.access_events import NotAuthenticated

FREE: Final = frozenset(
    {
        *("/", "/live", "/health", "/docs", "/openapi.json"),
        *("/api/v1/auth/login", "/api/v1/auth/refresh", PRESSES),
    }
)
"""What is answered to everybody, whoever they are: it says nothing that is anybody's, or asks by itself."""
_FREE_FILES: Final = "/static-offline-docs/"
"""What the page under /docs is made of."""
METRICS: Final = "/metrics"
"""They are of all tenants, so that no tenant's key or person is let in."""
INTERNAL: Final = "/internal/"
"""What is under it is for other services of the same operator, whether or not anybody else is asked."""
_BEARER: Final = "bearer "


class AuthenticationMiddleware:
    """Lets in who shows an identity, or anybody while nobody is asked for one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or reject it."""
        if scope["type"] != "http" or scope["path"] in FREE or scope["path"].startswith(_FREE_FILES):
            await self._app(scope, receive, send)
            return
        app = context_of(scope["app"]).app
        authenticator = app.authenticator
        headers = Headers(scope=scope)
        try:
            if scope["path"].startswith(INTERNAL):
                principal = authenticator.internal(_service_key_of(headers))
            elif scope["path"] == METRICS:
                principal = await authenticator.operator(credential_of(headers))
            else:
                principal = await authenticator.principal(credential_of(headers))
        except RiskAlertsError as problem:
            if isinstance(problem, UnauthenticatedError):
                app.events.emit(NotAuthenticated(code=problem.code))
            await refusal(scope, problem)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        with structlog.contextvars.bound_contextvars(**_named(principal)):
            await self._app(scope, receive, send)


def credential_of(headers: Headers) -> str | None:
    """Return the key or token that a request shows; raises UnauthenticatedError where it shows several.

    `X-Service-Key` goes first: where a cloud's IAM stands before the service, `Authorization` is for that.
    """
    key, bearer = _service_key_of(headers), _one(headers, "authorization")
    if key is not None:
        return key
    if bearer is not None and bearer[: len(_BEARER)].lower() == _BEARER:
        return bearer[len(_BEARER) :].strip()
    return None


def _service_key_of(headers: Headers) -> str | None:
    return _one(headers, "x-service-key")


def _one(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    if len(values) > 1:
        raise UnauthenticatedError(UnauthenticatedError.example)
    return values[0].strip() if values else None


def _named(principal: Principal) -> dict[str, str]:
    return {} if principal.kind is PrincipalKind.ANONYMOUS else {"principal": principal.label}
