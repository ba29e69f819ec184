"""Bulk: a file of companies is taken, and a job answered that scores it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from service.api.context import Opened
from service.api.errors import InvalidRequestError
from service.api.identity.caller import Caller, Needs
from service.api.routes.router import Routes
from service.api.v1.jobs.jobs import job_out
from service.api.v1.jobs.schemas import BULK_BODY, BulkIn, JobOut
from service.api.v1.jobs.upload import Upload, read_form
from service.domain.default_risk.job import Job, JobRequest
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.identity.permission import Permission
from service.domain.identity.scope import Scope
from service.domain.source_uri import SourceUri
from service.sources.opening import check_allowed

router = Routes("jobs", prefix="/api/v1", max_body_size=None)


@router.declare(
    "POST /predictions/{kind}/bulk",
    "Score a file of companies",
    *("bad_source_uri", "source_not_allowed", "storage_unreachable"),
    *("organization_not_found", "organization_needed", "model_unusable"),
    gives="job",
    status=HTTPStatus.ACCEPTED,
    openapi_extra={"requestBody": {"required": True, "content": BULK_BODY}},
)
async def score_file(
    context: Opened,
    caller: Annotated[Caller, Depends(Needs(Permission.WRITE_COMPANIES))],
    kind: Annotated[PredictionKind, Path(description="Of which statements.")],
    request: Request,
) -> JobOut:
    """Take a file, or the URI of one, and answer with the job that scores it, row by row, in the background.

    An upload is kept in the database before the answer, so that any instance goes on with it. What was scored
    stays; to send the same file again finds every row a duplicate.
    """
    async with read_form(request, limit_mb=context.upload_limit_mb) as (fields, upload):
        asked = _read(fields)
        if (upload is None) == (asked.source_uri is None):
            raise InvalidRequestError("body: either file or source_uri must be given")
        return job_out(context, await _created(caller, kind, asked, upload))


def _read(fields: object) -> BulkIn:
    try:
        return BulkIn.model_validate(fields)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in problems]) from None


async def _created(caller: Caller, kind: PredictionKind, asked: BulkIn, upload: Upload | None) -> Job:
    app, store = caller.app, caller.app.store
    file_name = "" if upload is None else upload.name
    if asked.source_uri is not None:
        uri = SourceUri.parse(asked.source_uri)
        # What lies behind a URI is read by processes of this tenant, which know where they may.
        caller.principal.check_served(app.tenant_id)
        if caller.scope.tenant_id is None:
            store = store.seen_by(caller.actor, Scope.of_tenant(app.tenant_id))
        await check_allowed(uri, app.storage)
        file_name = uri.text.rstrip("/").rpartition("/")[2]
    predictor = await app.predictor()
    thresholds = predictor.thresholds
    request = JobRequest(
        kind=kind,
        organization_id=asked.organization_id,
        file_name=file_name,
        source_uri=asked.source_uri,
        sheet=asked.sheet,
        units=asked.units,
        prior=predictor.model(kind).prior,
        thresholds=f"{thresholds.low!r},{thresholds.medium!r}",
    )
    content = iter(()) if upload is None else upload.parts()
    return await store.default_risk.jobs.create(request, predictor.record(kind), content)
