"""What OpenAPI says of a route's answers: an example of each, errors grouped by their status."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

from service.api import examples
from service.api.errors import error_headers
from service.api.schemas.error import ErrorOut
from service.domain.errors import Kind, RiskAlertsError, errors_by_code

REFUSALS: Final = ("bad_month", "bad_source_uri", "invalid_request", "body_too_large", "source_not_allowed")
"""What a request about a source can be refused for."""
SOURCE_FAILURES: Final = tuple(code for code, error in errors_by_code().items() if error.kind is Kind.SOURCE)
STORE_FAILURES: Final = ("database_unusable", "internal_error")


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
    table = errors_by_code()
    for error in (table[code] for code in codes):
        answer = responses.setdefault(
            error.http_status,
            {
                "model": ErrorOut,
                "description": HTTPStatus(error.http_status).phrase,
                # Spelled out for the route whose success is not JSON; elsewhere FastAPI says the same.
                "content": {
                    "application/json": {
                        "schema": {"$ref": f"#/components/schemas/{ErrorOut.__name__}"},
                        "examples": {},
                    }
                },
            },
        )
        answer["content"]["application/json"]["examples"][error.code] = {"value": _example(error)}
        for name, value in error_headers(error).items():
            answer["headers"] = {name: {"schema": {"type": "string"}, "example": value}}
    return responses


def document_examples(document: dict[str, Any], routers: Iterable[APIRouter]) -> dict[str, Any]:
    """Return the OpenAPI `document` with the examples of the routes as they were declared.

    FastAPI leaves out what is null, so that an example would lack fields which its schema requires.
    """
    for route in (route for router in routers for route in router.routes):
        if not isinstance(route, APIRoute):
            continue
        for method in route.methods or ():
            documented = document["paths"][route.path][method.lower()]["responses"]
            for status, response in route.responses.items():
                for media_type, content in response["content"].items():
                    documented[str(status)]["content"][media_type]["examples"] = deepcopy(content["examples"])
    return document


def _example(error: type[RiskAlertsError]) -> dict[str, Any]:
    run_id = examples.RUN_ID if error.kind in {Kind.SOURCE, Kind.RUN} else None
    return ErrorOut(error=error.code, detail=error.example, run_id=run_id).model_dump()
