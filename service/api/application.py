"""The API as an application: made afresh for each server and each test, never a module global."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from service.api.access import AccessMiddleware
from service.api.answer_headers import AnswerHeadersMiddleware
from service.api.context import Context
from service.api.errors import install_error_handlers
from service.api.identity.authentication import AuthenticationMiddleware
from service.api.identity.documented import say_how_to_authenticate
from service.api.identity.rate_limits import RateLimitMiddleware
from service.api.late_routes import LateRoutes
from service.api.metrics.middleware import MetricsMiddleware
from service.api.middleware import TracingMiddleware
from service.api.openapi import fill_in_examples
from service.api.routes import health
from service.settings import Settings
from service.telemetry.redaction import Redactor
from service.wiring import App, open_app

_LATE: Final = (
    *(f"service.api.routes.{name}" for name in ("runs", "preview", "alerts", "doubts", "metrics")),
    "service.api.slack.interactions",
    *(f"service.api.v1.{name}" for name in ("auth", "tenants", "organizations", "users", "audit")),
    *(f"service.api.v1.risk.{name}" for name in ("companies", "grants", "models", "predictions")),
    *(f"service.api.v1.jobs.{name}" for name in ("bulk", "jobs")),
)


def create_app(
    settings: Settings, *, opened: Callable[[Settings], AbstractAsyncContextManager[App]] = open_app
) -> FastAPI:
    """Return the API over the application that `opened` opens when the server starts."""

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        async with opened(settings) as app:
            api.state.context = Context(app, settings.max_concurrent_runs, settings.upload_limit_mb)
            yield

    # The pages under /docs come from a package: FastAPI's own load their scripts from the internet.
    api = FastAPIOffline(
        title="Risk alerts",
        version=version("risk-alerts"),
        summary="Alerts customer-success teams in Slack to accounts At Risk, once per account and month.",
        lifespan=lifespan,
        redoc_url=None,
        # A path is right or wrong; redirecting a POST hides the mistake.
        redirect_slashes=False,
    )
    # The last one added comes first: who asks is known before they are counted.
    api.add_middleware(RateLimitMiddleware)
    api.add_middleware(AuthenticationMiddleware)
    api.add_middleware(AccessMiddleware, allowed_hosts=settings.allowed_hosts or ())
    api.add_middleware(TracingMiddleware, project=settings.google_cloud_project)
    api.add_middleware(AnswerHeadersMiddleware)
    api.add_middleware(MetricsMiddleware)
    # As they are: `include_router` would build each of them a second time, while the first request waits.
    api.router.routes += health.router.routes
    late = api.state.late_routes = LateRoutes(api.router, _LATE)
    install_error_handlers(api, Redactor(settings.secrets()))
    document = api.openapi

    def whole_document() -> dict[str, Any]:
        late.add()
        return say_how_to_authenticate(fill_in_examples(document()))

    # FastAPI's documented way to extend the document is to replace this method; it is computed once.
    api.openapi = whole_document  # type: ignore[method-assign]
    return api
