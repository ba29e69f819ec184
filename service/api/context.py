"""What every route is given: the opened application, and the watch on the time left."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.applications import Starlette

from service.account_risk.kind import month_request
from service.api.limits import Places
from service.api.schemas.run import AnyRunIn, LogRunIn, ProgressOut, RunOut
from service.api.time_left import TimeLeft
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.run import RunRecord, RunRequest
from service.domain.source_uri import SourceUri
from service.log_rules.alerts.kind import LOG_RULES, LogRules, check_rules, log_request
from service.sources.opening import check_allowed
from service.wiring import App


class Context:
    """The process behind one API."""

    def __init__(self, app: App, max_concurrent: int) -> None:
        self.app = app
        self.time_left = TimeLeft()
        self.runs = Places(max_concurrent, of="runs")
        self.previews = Places(max_concurrent, of="previews")
        """Counted apart: a look is not refused because runs are waiting for Slack."""

    def progress_of(self, record: RunRecord) -> ProgressOut | None:
        """Return how far a run has come, wherever it runs; None once it has finished."""
        if record.finished_at is not None:
            return None
        # The heartbeat of a run in another process is some seconds old; a run of this one is seen live.
        at_work = self.app.at_work.runs.get(record.run_id)
        if at_work is None and record.progress is None:
            return None
        progress = at_work.progress if at_work else Progress.of(record.progress or {})
        seconds = self.time_left.seconds(record.run_id, progress, now=self.app.clock.now().timestamp())
        return ProgressOut.of(progress).model_copy(update={"seconds_left": seconds})

    def run_out(self, record: RunRecord) -> RunOut:
        """Return a run as the API says it, with its progress as of now."""
        return RunOut.of(record).model_copy(update={"progress": self.progress_of(record)})

    def month(self, text: str) -> Month:
        """Read a month as of today, UTC; raises BadMonthError."""
        return Month.resolve(text, today=self.app.clock.now().date())

    def request(self, body: AnyRunIn, idempotency_key: str | None = None) -> RunRequest:
        """Return what a body asks for.

        Raises BadSourceUriError, and BadMonthError; of logs BadPeriodError, BadRulesError and
        RulesNotFoundError.
        """
        if isinstance(body, LogRunIn):
            kind = self.app.kinds[LOG_RULES]
            if not isinstance(kind, LogRules):
                raise TypeError(f"{LOG_RULES} is not a kind of its own")
            return log_request(
                SourceUri.parse(body.source_uri),
                kind.rules_path(body.rules),
                since=body.from_,
                until=body.until,
                stream=body.rules if body.stream is None else body.stream,
                dry_run=body.dry_run,
                plan_digest=body.plan_digest,
                idempotency_key=idempotency_key,
            )
        return month_request(
            SourceUri.parse(body.source_uri),
            self.month(body.month),
            dry_run=body.dry_run,
            plan_digest=body.plan_digest,
            idempotency_key=idempotency_key,
        )

    async def check_source(self, request: RunRequest) -> None:
        """Check a request's source against ALLOWED_SOURCES, and its rules.

        Raises SourceNotAllowedError and BadRulesError.
        """
        await check_allowed(request.source, self.app.storage)
        if request.kind == LOG_RULES:
            await check_rules(request, self.app.channels)


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
