"""What every route is given: the opened application, and the watch on the time left."""

from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from starlette.applications import Starlette

from service.api.limits import Places
from service.api.time_left import TimeLeft
from service.wiring import App

if TYPE_CHECKING:
    from service.api.metrics.metrics import Metrics
    from service.default_risk.integrity.active_models import ActiveModels
    from service.telemetry.events import Event


class Context:
    """The process behind one API."""

    def __init__(self, app: App, max_concurrent: int, upload_limit_mb: int) -> None:
        self.app = app
        self.upload_limit_mb = upload_limit_mb
        self.time_left = TimeLeft()
        self.runs = Places(max_concurrent, of="runs")
        self.previews = Places(max_concurrent, of="previews")
        """Counted apart: a look is not refused because runs are waiting for Slack."""
        app.events.also(self._hear)

    @cached_property
    def models(self) -> "ActiveModels":
        """Which models are active, and whether they can be used."""
        from service.default_risk.integrity.active_models import ActiveModels  # noqa: PLC0415  # by whoever first asks

        return ActiveModels(self.app.store.default_risk.model_files)

    @cached_property
    def metrics(self) -> "Metrics":
        """What is counted in this process; made when there is something to count."""
        # Prometheus's library is a thirtieth of a start: nothing needs it before the first answer.
        from service.api.metrics.metrics import Metrics  # noqa: PLC0415

        return Metrics(self.app.kinds)

    def _hear(self, event: "Event") -> None:
        self.metrics.hear(event)


def context_of(app: Starlette) -> Context:
    """Return the process behind an API that has been started."""
    context = app.state.context
    if not isinstance(context, Context):
        raise TypeError("the API serves requests only inside its lifespan")
    return context


async def _context(request: Request) -> Context:
    return context_of(request.app)


Opened = Annotated[Context, Depends(_context)]
"""A route's parameter of this type is the process behind the API."""
