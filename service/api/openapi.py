"""What OpenAPI tells of a route's answers: an example of each, errors grouped by their status."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

from service.api import examples
from service.api.errors import DETAIL_OF_TOO_LARGE, DETAIL_OF_UNEXPECTED, HEADERS, STATUS
from service.api.schemas.run import ErrorOut

_DETAIL: Final[Mapping[str, str]] = {
    "bad_month": "month must be YYYY-MM-01, 'current' or 'previous', not '2026-1-1'",
    "bad_source_uri": "the scheme ftp:// is not supported; use file://, gs:// or s3://",
    "bad_cursor": "the cursor was not made for this list",
    "invalid_request": "body.dry_rum: Extra inputs are not permitted",
    "body_too_large": DETAIL_OF_TOO_LARGE,
    "idempotency_key_reused": "this Idempotency-Key was used for another request within a day",
    "too_many_runs": "8 runs are under way, as many as MAX_CONCURRENT_RUNS allows",
    "source_not_allowed": "the source lies outside ALLOWED_SOURCES",
    "not_found": "Not Found",
    "method_not_allowed": "Method Not Allowed",
    "run_not_found": f"there is no run {examples.RUN_ID}",
    "alert_not_found": f"no alert has the id '{examples.ACCOUNT['alert_id']}'",
    "not_in_doubt": "the alert is not in doubt: it is failed",
    "source_not_found": "there is no Parquet file at file:///data/monthly_account_status.parquet",
    "source_not_parquet": "monthly_account_status.parquet is truncated",
    "schema_mismatch": "arr: expected int64, found string; updated_at: missing",
    "month_not_in_source": "the source has no row of 2026-01-01; its months are 2024-01-01 to 2025-12-01",
    "memory_limit_exceeded": "the scan needs 700 MB, more than MEMORY_LIMIT_MB allows",
    "source_changed": "monthly_account_status.parquet was replaced while it was being read",
    "plan_changed": f"nothing was sent: the plan has changed, and its digest is now {examples.PLAN_DIGEST}",
    "storage_unreachable": "the storage did not answer within 15 s",
    "storage_access_refused": "these credentials may not read gs://bucket/monthly_account_status.parquet",
    "slack_not_configured": "set SLACK_WEBHOOK_BASE_URL or SLACK_WEBHOOK_URL",
    "routing_not_configured": "REGION_CHANNELS is empty, so that no alert could reach anyone",
    "database_not_durable": "the SQLite database would die with its container",
    "database_unusable": "the database cannot be opened",
    "database_schema_newer": "the database was migrated by a newer version of this service",
    "interrupted": "the service was stopped before the run could finish",
    "cancelled": f"run {examples.RUN_ID} was cancelled: what had not left by then stays in the outbox",
    "run_finished": f"run {examples.RUN_ID} has finished: it succeeded",
    "ledger_imbalance": "alerts is 42, but its parts (41,) add up to 41",
    "internal_error": DETAIL_OF_UNEXPECTED,
}
_RECORDED: Final = frozenset(
    {
        "source_not_found",
        "source_not_parquet",
        "schema_mismatch",
        "month_not_in_source",
        "memory_limit_exceeded",
        "source_changed",
        "storage_unreachable",
        "storage_access_refused",
        "plan_changed",
        "interrupted",
        "cancelled",
        "ledger_imbalance",
    }
)
"""Errors of a run that was recorded as failed, so that they carry its id."""


def answers(
    success: Mapping[str, Any] | None, *codes: str, csv: str | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses`: the examples of its 200, and those of each error code it can give.

    `csv` is an example of the CSV that a route gives to those who would rather have it.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    if success is not None:
        named = {name: {"value": value} for name, value in success.items()}
        responses[200] = {"content": {"application/json": {"examples": named}}}
        if csv is not None:
            text = {"schema": {"type": "string"}, "examples": {"csv": {"value": csv}}}
            responses[200]["content"]["text/csv"] = text
    for code in codes:
        status = STATUS[code]
        answer = responses.setdefault(
            int(status),
            {
                "model": ErrorOut,
                "description": status.phrase,
                # Spelled out for the route whose success is not JSON; elsewhere FastAPI says the same.
                "content": {
                    "application/json": {
                        "schema": {"$ref": f"#/components/schemas/{ErrorOut.__name__}"},
                        "examples": {},
                    }
                },
            },
        )
        answer["content"]["application/json"]["examples"][code] = {"value": _example(code)}
        for name, value in HEADERS.get(code, {}).items():
            answer["headers"] = {name: {"schema": {"type": "string"}, "example": value}}
    return responses


def told_examples(document: dict[str, Any], routers: Iterable[APIRouter]) -> dict[str, Any]:
    """Return the OpenAPI `document` with the examples of the routes as they were declared.

    FastAPI leaves out what is null, so that an example would lack fields which its schema requires.
    """
    for route in (route for router in routers for route in router.routes):
        if not isinstance(route, APIRoute):
            continue
        for method in route.methods or ():
            told = document["paths"][route.path][method.lower()]["responses"]
            for status, response in route.responses.items():
                for media_type, content in response["content"].items():
                    told[str(status)]["content"][media_type]["examples"] = deepcopy(content["examples"])
    return document


def _example(code: str) -> dict[str, Any]:
    run_id = examples.RUN_ID if code in _RECORDED else None
    return {"error": code, "detail": _DETAIL[code], "run_id": run_id}
