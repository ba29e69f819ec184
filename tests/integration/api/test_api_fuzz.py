"""Requests that nobody would think of: none is answered with anything that OpenAPI does not announce."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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

from tests.support.rows import MONTH, account, write_source
from tests.support.served import running_service
from tests.support.served import settings as service_settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@dataclass(frozen=True, slots=True)
class Known:
    """A running service's schema, and what there is to ask it about."""

    openapi: BaseSchema
    document: dict[str, Any]
    run_id: str
    alert_id: str
    source_uri: str

    def put_into(self, case: Case[Any]) -> None:
        """Let a made-up request be about something that there is."""
        for name in ("run_id", "alert_id"):
            if name in case.path_parameters:
                case.path_parameters[name] = getattr(self, name)
        if isinstance(case.body, dict) and "source_uri" in case.body:
            case.body |= {"source_uri": self.source_uri, "month": MONTH}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """Run a service that may read one folder with one source; its Slack is not there."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "sources").mkdir()
    source = write_source(folder / "sources" / "a.parquet", [account(1), account(2, account_region="LATAM")])
    given = service_settings(folder, allowed_sources=((folder / "sources").as_uri(),), slack_max_retries=0)
    with running_service(given) as service:
        run_id = service.run(source)["run_id"]
        yield Known(
            schemathesis.openapi.from_url(f"{service.client.base_url}/openapi.json"),
            service.get("/openapi.json"),
            run_id=run_id,
            alert_id=service.get(f"/runs/{run_id}/alerts")["alerts"][0]["alert_id"],
            source_uri=source,
        )


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_announced(known: Known, mode: GenerationMode) -> None:
    """Status, media type and body of each answer are those of the document, and nothing is a 500.

    Valid requests are, every other time, about a run, an alert and a source that there are.
    """
    names = set()
    for found in known.openapi.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        names.add(operation.label)
        try:
            cases = operation.as_strategy(generation_mode=mode)
        except Unsatisfiable:
            continue  # nothing can be wrong about a request without parameters

        @settings(max_examples=40, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=cases, is_known=st.booleans(), accept=st.sampled_from(["*/*", "text/csv"]))
        def answered_as_announced(case: Case[Any], is_known: bool, accept: str) -> None:  # noqa: FBT001
            if is_known and mode is GenerationMode.POSITIVE:
                known.put_into(case)
            case.headers["Accept"] = accept
            case.call_and_validate(checks=CHECKS)

        with contextlib.suppress(Unsatisfiable):
            answered_as_announced()
    every = {f"{method.upper()} {path}" for path, item in known.document["paths"].items() for method in item}
    assert names == every
    assert len(every) > 7
