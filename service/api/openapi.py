"""What OpenAPI says of a route's answers: an example of each, errors grouped by their status."""

from collections.abc import Sequence
from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

from pydantic.json_schema import models_json_schema

import service.domain.default_risk.errors
import service.domain.identity.errors
import service.domain.identity.login_errors
import service.domain.lifecycle.errors  # noqa: F401  # all four: routes name their codes, and may not load them
from service.api.errors import UnhealthyError, error_headers
from service.api.examples import examples
from service.api.schemas.answer import Out
from service.api.schemas.error import ErrorOut
from service.api.schemas.health import UnhealthyOut
from service.api.v1.envelope import Failure, code_of
from service.domain.errors import Kind, RiskAlertsError, errors_by_code

EVERYWHERE: Final = ("malformed_request", "host_not_allowed", "internal_error")
"""What any request can be answered, and so for those below."""
READING: Final = (
    *EVERYWHERE,
    "invalid_request",
    "database_unusable",
    "unauthenticated",
    "forbidden",
    "issuer_unreachable",
)
CHANGING: Final = (
    *READING,
    *("cross_site_request", "unsupported_media_type", "body_too_large", "not_served_here"),
    "too_many_requests",
)
SOURCE: Final = (
    *("bad_month", "bad_source_uri", "source_not_allowed"),
    *(code for code, error in errors_by_code().items() if error.kind is Kind.SOURCE),
)
"""What a request about a source can be answered besides."""
LOGS: Final = ("bad_period", "bad_rules", "rules_not_found")
"""What a request about a log can be answered besides."""


def answers(
    *codes: str,
    examples: Sequence[str] = (),
    media_type: str = "application/json",
    csv: str | None = None,
    success: HTTPStatus = HTTPStatus.OK,
    failure: type[Out] = ErrorOut,
) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses`: its success in `media_type`, and each error code that it can give.

    They name their examples, which `fill_in_examples` knows; `csv` is the name of one in CSV, for a route
    that gives it to those who would rather have it. `failure` is the shape of its errors.
    """
    responses: dict[int | str, dict[str, Any]] = {
        success: {"content": {media_type: {"examples": {name: {} for name in examples}}}}
    }
    if csv is not None:
        responses[HTTPStatus.OK]["content"]["text/csv"] = {
            "schema": {"type": "string"},
            "examples": {csv: {}},
        }
    table = errors_by_code()
    for error in (table[code] for code in codes):
        answer = responses.setdefault(
            error.http_status,
            {
                "description": HTTPStatus(error.http_status).phrase,
                # Not as FastAPI's `model`: that makes four hundred validators of answers nobody validates,
                # a tenth of a second of every start.
                "content": {
                    "application/json": {
                        "schema": {"$ref": f"#/components/schemas/{failure.__name__}"},
                        "examples": {},
                    }
                },
            },
        )
        name_of = code_of(error) if failure is Failure else error.code
        answer["content"]["application/json"]["examples"][name_of] = {}
        for name, value in error_headers(error).items():
            answer["headers"] = {name: {"schema": {"type": "string"}, "example": value}}
    return responses


def fill_in_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI `document` with the value of every example that is named in it, and errors' shapes.

    Here and not where routes are declared: FastAPI leaves out what is null, so that an example would lack
    fields which its schema requires.
    """
    _, shapes = models_json_schema(
        [(shape, "serialization") for shape in (ErrorOut, Failure)],
        ref_template="#/components/schemas/{model}",
    )
    document["components"]["schemas"] |= shapes["$defs"]
    table = errors_by_code()
    values = examples() | {code: _example(error) for code, error in table.items()}
    values |= {code_of(error): _wrapped_example(error) for error in table.values()}
    for operation in (each for item in document["paths"].values() for each in item.values()):
        for response in operation["responses"].values():
            if len(response["content"]) > 1 and "application/json" in response["content"]:
                # FastAPI announces errors as event streams, too, where that is what a route answers.
                response["content"].pop("text/event-stream", None)
            for content in response["content"].values():
                named = content["examples"]
                content["examples"] = {name: {"value": deepcopy(values[name])} for name in named}
    return document


def _example(error: type[RiskAlertsError]) -> dict[str, Any]:
    run_id = examples()["run_id"] if error.kind in {Kind.SOURCE, Kind.RUN} else None
    if error is UnhealthyError:
        healthy = examples()["healthy"]
        parts = {
            "checks": healthy["checks"] | {"database": "unusable", "models": "unknown"},
            "timestamp": healthy["timestamp"],
        }
        return UnhealthyOut(detail=error.example, run_id=run_id, **parts).model_dump(mode="json")
    return ErrorOut(error=error.code, detail=error.example, run_id=run_id).model_dump()


def _wrapped_example(error: type[RiskAlertsError]) -> dict[str, Any]:
    details = None
    if error.code == "invalid_request":
        details = {"field": "body.email", "reason": "Value error, must be an e-mail address"}
    problem = {"code": code_of(error), "message": error.example, "details": details}
    return {"success": False, "error": problem, "meta": examples()["v1_nothing"]["meta"]}
