"""Requests that nobody would think of: none is answered with anything that OpenAPI does not announce."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.doors import running_service
from tests.integration.doors import settings as service_settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """Return the schema of a running service that may read nothing but an empty folder."""
    folder = tmp_path_factory.mktemp("fuzz")
    given = service_settings(folder, allowed_sources=((folder / "sources").as_uri(),))
    with running_service(given) as service:
        yield schemathesis.openapi.from_url(f"{service.client.base_url}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_announced(openapi: BaseSchema, mode: GenerationMode) -> None:
    """Status, media type and body of each answer are those of the document, and nothing is a 500."""
    names = []
    for found in openapi.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        names.append(operation.label)
        try:
            cases = operation.as_strategy(generation_mode=mode)
        except Unsatisfiable:
            continue  # nothing can be wrong about a request without parameters

        @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=cases)
        def answered_as_announced(case: Case[Any]) -> None:
            case.call_and_validate(checks=CHECKS)

        with contextlib.suppress(Unsatisfiable):
            answered_as_announced()
    assert len(names) == 11
