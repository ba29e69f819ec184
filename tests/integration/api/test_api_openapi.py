"""OpenAPI: complete, and each of its examples is true to its schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from service.api.application import create_app
from service.api.identity.authentication import FREE
from service.default_risk import errors as _default_risk  # noqa: F401  # its codes are in the table
from service.domain.errors import errors_by_code
from tests.support.served import settings

PLAIN = {"VALIDATION_ERROR": "invalid_request"}
"""What the envelope calls otherwise than in capitals."""

Operation = tuple[str, dict[str, Any]]


@pytest.fixture
def openapi(tmp_path: Path) -> dict[str, Any]:
    """Return the document that describes the API."""
    return create_app(settings(tmp_path)).openapi()


def _operations(openapi: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _contents(openapi: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, operation in _operations(openapi):
        for status, response in operation["responses"].items():
            if "application/json" in response.get("content", {}):
                yield f"{name} {status}", response["content"]["application/json"]


def _check(openapi: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    whole = {"components": openapi["components"], **schema}
    jsonschema_rs.validator_for(whole, validate_formats=True).validate(value)


def test_every_route_of_the_specification_is_there(openapi: dict[str, Any]) -> None:
    """Nothing is missing, and nothing is there by accident."""
    assert {name for name, _ in _operations(openapi)} == {
        "POST /runs",
        "GET /runs",
        "GET /runs/{run_id}",
        "GET /runs/{run_id}/alerts",
        "GET /runs/{run_id}/events",
        "POST /runs/{run_id}/cancel",
        "GET /runs/{run_id}/changes",
        "GET /runs/{run_id}/withdrawn",
        "POST /alerts",
        "GET /alerts",
        "POST /alerts/bulk",
        "GET /alerts/{alert_id}",
        "GET /alerts/{alert_id}/events",
        "PUT /alerts/{alert_id}/acknowledge",
        "PUT /alerts/{alert_id}/unacknowledge",
        "PUT /alerts/{alert_id}/resolve",
        "PUT /alerts/{alert_id}/reopen",
        "POST /alerts/{alert_id}/notes",
        "GET /stats/{tenant_id}",
        "POST /internal/alerts",
        "POST /alerts/{alert_id}/settle",
        "POST /preview",
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/refresh",
        "POST /api/v1/auth/logout",
        "GET /api/v1/auth/me",
        "GET /api/v1/tenants",
        "POST /api/v1/tenants",
        "GET /api/v1/tenants/{tenant_id}",
        "PATCH /api/v1/tenants/{tenant_id}",
        "DELETE /api/v1/tenants/{tenant_id}",
        "GET /api/v1/tenants/{tenant_id}/organizations",
        "POST /api/v1/tenants/{tenant_id}/organizations",
        "GET /api/v1/organizations/{organization_id}",
        "PATCH /api/v1/organizations/{organization_id}",
        "DELETE /api/v1/organizations/{organization_id}",
        "GET /api/v1/users",
        "POST /api/v1/users",
        "GET /api/v1/users/{user_id}",
        "PATCH /api/v1/users/{user_id}",
        "DELETE /api/v1/users/{user_id}",
        "POST /api/v1/users/{user_id}/role",
        "POST /api/v1/users/{user_id}/activate",
        "GET /api/v1/audit",
        "GET /api/v1/companies",
        "POST /api/v1/companies",
        "GET /api/v1/organizations/{organization_id}/companies",
        "POST /api/v1/organizations/{organization_id}/companies",
        "GET /api/v1/companies/{company_id}",
        "PATCH /api/v1/companies/{company_id}",
        "DELETE /api/v1/companies/{company_id}",
        "GET /api/v1/companies/{company_id}/access",
        "GET /api/v1/models",
        "PUT /api/v1/models/{kind}",
        "DELETE /api/v1/models/{kind}",
        "PUT /api/v1/companies/{company_id}/access/{user_id}",
        "DELETE /api/v1/companies/{company_id}/access/{user_id}",
        "GET /api/v1/companies/{company_id}/predictions",
        "GET /api/v1/companies/{company_id}/predictions/{kind}",
        "POST /api/v1/companies/{company_id}/predictions/{kind}",
        "POST /api/v1/predictions/{kind}/score",
        "GET /api/v1/predictions/{kind}",
        "POST /api/v1/predictions/{kind}",
        "GET /api/v1/predictions/{kind}/{prediction_id}",
        "PUT /api/v1/predictions/{kind}/{prediction_id}",
        "DELETE /api/v1/predictions/{kind}/{prediction_id}",
        "GET /api/v1/predictions/{kind}/{prediction_id}/versions",
        "POST /api/v1/predictions/{kind}/bulk",
        "GET /api/v1/jobs",
        "GET /api/v1/jobs/{job_id}",
        "GET /api/v1/jobs/{job_id}/results",
        "GET /api/v1/jobs/{job_id}/events",
        "POST /api/v1/jobs/{job_id}/cancel",
        "POST /slack/interactions",
        "GET /",
        "GET /live",
        "GET /health",
        "GET /metrics",
    }


def test_every_route_says_what_it_does(openapi: dict[str, Any]) -> None:
    """A summary, a description, a tag."""
    for name, operation in _operations(openapi):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name


def test_every_answer_has_examples_that_are_true_to_its_schema(openapi: dict[str, Any]) -> None:
    """The documentation cannot show what the API would never say."""
    for name, content in _contents(openapi):
        assert content["examples"], name
        for example in content["examples"].values():
            _check(openapi, content["schema"], example["value"])


def test_every_schema_is_true_to_its_own_examples(openapi: dict[str, Any]) -> None:
    """Those of requests included."""
    schemas = openapi["components"]["schemas"]
    assert "examples" in schemas["RunIn"]
    for schema in schemas.values():
        for example in schema.get("examples", ()):
            _check(openapi, schema, example)


def test_errors_are_documented_under_their_status(openapi: dict[str, Any]) -> None:
    """Every error has one of the two shapes, and each code stands where it is answered."""
    seen = set()
    for name, content in _contents(openapi):
        for code, example in content["examples"].items():
            if "error" in example["value"] and "status" not in example["value"]:
                is_wrapped = " /api/v1/" in name
                shape = "Failure" if is_wrapped else "ErrorOut"
                assert content["schema"] == {"$ref": f"#/components/schemas/{shape}"}, name
                error = errors_by_code()[PLAIN.get(code, code.lower())]
                assert int(name.rsplit(" ", 1)[1]) == error.http_status, name
                said = example["value"]["error"]
                assert (said["code"] if is_wrapped else said) == code
                seen.add(error.code)
    elsewhere = {
        # Before or beside any route.
        *("method_not_allowed", "request_timeout", "request_too_large", "too_many_connections"),
        # It has a shape of its own.
        "unhealthy",
        # Met only by a start.
        *("database_schema_newer", "database_outdated", "no_identity", "signing_keys_unusable"),
        # Of commands that have no route.
        *("two_ledgers", "training_not_installed"),
        # Of jobs, which say why they failed.
        *("bad_companies_file", "suspected_fraction_units"),
        # Of keys, which only the command line changes.
        "key_not_found",
    }
    assert seen == errors_by_code().keys() - elsewhere


def test_it_says_who_is_asked_and_how(openapi: dict[str, Any]) -> None:
    """Everybody may be, by a key or a token; nobody for what is free, other services by their key only."""
    assert set(openapi["components"]["securitySchemes"]) == {"bearer", "key"}
    assert openapi["security"] == [{"bearer": []}, {"key": []}, {}]
    asked = {name: operation.get("security") for name, operation in _operations(openapi)}
    assert {name.split(" ")[1] for name, ways in asked.items() if ways == []} == FREE & set(openapi["paths"])
    others = {name: ways for name, ways in asked.items() if ways}
    assert all(name.startswith("POST /internal/") for name in others)
    assert all(ways == [{"key": []}] for ways in others.values())


def test_the_framework_s_own_error_shape_is_nowhere(openapi: dict[str, Any]) -> None:
    """`HTTPValidationError` would promise what is never answered."""
    assert "HTTPValidationError" not in openapi["components"]["schemas"]
