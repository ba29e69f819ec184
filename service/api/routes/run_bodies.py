"""What the routes of runs read and answer: bodies become requests, records become answers."""

from service.account_risk.kind import month_request
from service.api.context import Context
from service.api.schemas.run import AnyRunIn, LogRunIn, ProgressOut, RunOut
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.run import RunRecord, RunRequest
from service.domain.source_uri import SourceUri
from service.log_rules.alerts.kind import LOG_RULES, LogRules, check_rules, log_request
from service.sources.opening import check_allowed


def month_of(context: Context, text: str) -> Month:
    """Read a month as of today, UTC; raises BadMonthError."""
    return Month.resolve(text, today=context.app.clock.now().date())


def request_of(context: Context, body: AnyRunIn, idempotency_key: str | None = None) -> RunRequest:
    """Return what a body asks for.

    Raises BadSourceUriError, and BadMonthError; of logs BadPeriodError, BadRulesError and RulesNotFoundError.
    """
    if isinstance(body, LogRunIn):
        kind = context.app.kinds[LOG_RULES]
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
        month_of(context, body.month),
        dry_run=body.dry_run,
        plan_digest=body.plan_digest,
        idempotency_key=idempotency_key,
    )


async def check_source(context: Context, request: RunRequest) -> None:
    """Check a request's source against ALLOWED_SOURCES, and its rules.

    Raises SourceNotAllowedError and BadRulesError.
    """
    await check_allowed(request.source, context.app.storage)
    if request.kind == LOG_RULES:
        await check_rules(request, context.app.channels)


def progress_of(context: Context, record: RunRecord) -> ProgressOut | None:
    """Return how far a run has come, wherever it runs; None once it has finished."""
    if record.finished_at is not None:
        return None
    # The heartbeat of a run in another process is some seconds old; a run of this one is seen live.
    at_work = context.app.at_work.runs.get(record.run_id)
    if at_work is None and record.progress is None:
        return None
    progress = at_work.progress if at_work else Progress.of(record.progress or {})
    seconds = context.time_left.seconds(record.run_id, progress, now=context.app.clock.now().timestamp())
    return ProgressOut.of(progress).model_copy(update={"seconds_left": seconds})


def run_out(context: Context, record: RunRecord) -> RunOut:
    """Return a run as the API says it, with its progress as of now."""
    return RunOut.of(record).model_copy(update={"progress": progress_of(context, record)})
