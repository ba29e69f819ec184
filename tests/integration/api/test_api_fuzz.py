"""Requests that nobody would think of: none is answered with anything that OpenAPI does not announce."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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

from service.access.signing_keys import add_key
from service.domain.identity.permission import Role
from service.store.store import open_store
from tests.support.clocks import START
from tests.support.companies import HEALTHY, csv_bytes
from tests.support.people import V1, add_person, all_seeing, logged_in
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
    company_id: str
    prediction_id: str
    job_id: str

    def put_into(self, case: Case[Any]) -> None:
        """Let a made-up request be about something that there is."""
        for name in ("run_id", "alert_id", "company_id", "prediction_id", "job_id"):
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
    add_key(folder / "jwt.json")
    given = service_settings(
        folder,
        allowed_sources=((folder / "sources").as_uri(),),
        slack_max_retries=0,
        jwt_keys_file=folder / "jwt.json",
        limit_changes="1000000/minute",
        limit_failed_logins="1000000/minute",
    )
    with running_service(given) as service:
        run_id = service.run(source)["run_id"]
        predicted = service.client.post(
            "/api/v1/predictions/annual", json={"company_symbol": "ACME", "reporting_year": 2025}
        ).json()["data"]
        job = service.client.post(
            "/api/v1/predictions/annual/bulk", files={"file": ("companies.csv", csv_bytes([HEALTHY]))}
        ).json()["data"]
        yield Known(
            schemathesis.openapi.from_url(f"{service.client.base_url}/openapi.json"),
            service.get("/openapi.json"),
            run_id=run_id,
            alert_id=service.get(f"/runs/{run_id}/alerts")["alerts"][0]["alert_id"],
            source_uri=source,
            company_id=predicted["company_id"],
            prediction_id=predicted["id"],
            job_id=job["id"],
        )


@pytest.mark.parametrize("times", [1, pytest.param(8, marks=pytest.mark.fault)])
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.timeout(600)  # thousands of requests, each checked against the document
def test_every_answer_is_as_announced(known: Known, mode: GenerationMode, times: int) -> None:
    """Status, media type and body of each answer are those of the document, and nothing is a 500.

    Valid requests are, every other time, about a run, an alert and a source that there are.
    """

    def ask(case: Case[Any], is_known: bool, accept: str) -> None:  # noqa: FBT001
        if is_known and mode is GenerationMode.POSITIVE:
            known.put_into(case)
        case.headers["Accept"] = accept
        case.call_and_validate(checks=CHECKS)

    # Without a name, those of /api/v1 say no to nearly everything.
    names = every_operation(known.openapi, mode, ask, count=lambda name: times * (1 if V1 in name else 6))
    every = {f"{method.upper()} {path}" for path, item in known.document["paths"].items() for method in item}
    assert names == every
    assert len(every) > 7


def every_operation(
    openapi: BaseSchema,
    mode: GenerationMode,
    ask: Callable[[Case[Any], bool, str], None],
    *,
    count: Callable[[str], int],
) -> set[str]:
    """Call `ask` with as many cases of each operation as `count` says of it; return the operations."""
    names = set()
    for found in openapi.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        names.add(operation.label)
        try:
            cases = operation.as_strategy(generation_mode=mode)
        except Unsatisfiable:
            continue  # nothing can be wrong about a request without parameters

        @settings(
            max_examples=count(operation.label), derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(case=cases, is_known=st.booleans(), accept=st.sampled_from(["*/*", "text/csv"]))
        def asked(case: Case[Any], is_known: bool, accept: str) -> None:  # noqa: FBT001
            ask(case, is_known, accept)

        with contextlib.suppress(Unsatisfiable):
            asked()
    return names


@dataclass(frozen=True, slots=True)
class Strangers:
    """A service of two tenants, somebody of one of them, and what there is of the other."""

    openapi: BaseSchema
    token: str
    foreign: dict[str, str]
    """Ids of the other tenant by the parameter that they could be."""

    def ask(self, case: Case[Any], is_known: bool, accept: str) -> None:  # noqa: FBT001
        """Make a made-up request as an administrator of one tenant, now and then about the other's."""
        if is_known:
            case.path_parameters.update(
                {name: self.foreign[name] for name in case.path_parameters if name in self.foreign}
            )
        case.headers["Accept"] = accept
        # A made-up one would win.
        for name in ("Authorization", "X-Service-Key"):
            case.headers.pop(name, None)
        if self.token:
            case.headers["Authorization"] = f"Bearer {self.token}"
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        asked = f"{case.path_parameters} {case.body!r}"
        # The audit has what this caller was refused, by the path that they had asked for themselves.
        answered = re.sub(r'"target":"[^"]*"', "", response.text)
        for known in self.foreign.values():
            assert known in asked or known not in answered
        assert "stranger@example.com" not in response.text


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strangers]:
    """Run a service that asks everybody who they are."""
    folder = tmp_path_factory.mktemp("strangers")
    add_key(folder / "jwt.json")

    async def made() -> dict[str, str]:
        async with open_store(f"sqlite:///{folder}/risk_alerts.db") as store:
            access = all_seeing(store).access
            other = await access.tenants.create(name="Other", code="other", now=START)
            far = await access.organizations.create(other.id, name="Far", code="far", now=START)
            await add_person(store, "tina", Role.TENANT_ADMIN)
            user = await add_person(
                store, "stranger", Role.ORG_MEMBER, tenant_id=other.id, organization_id=far.id
            )
            return {"tenant_id": other.id, "organization_id": far.id, "user_id": user.id}

    foreign = asyncio.run(made())
    given = service_settings(
        folder,
        allowed_sources=(folder.as_uri(),),
        jwt_keys_file=folder / "jwt.json",
        limit_changes="1000000/minute",
        limit_failed_logins="1000000/minute",
    )
    with running_service(given) as service:
        token = logged_in(service, "tina").token
        assert token is not None
        document = schemathesis.openapi.from_url(f"{service.client.base_url}/openapi.json")
        yield Strangers(document, token, foreign)


@pytest.mark.fault
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("is_named", [True, False], ids=["with an identity", "without"])
def test_a_service_that_asks_answers_as_announced(
    strangers: Strangers, mode: GenerationMode, *, is_named: bool
) -> None:
    """Nothing is a 500, and nothing of another tenant is in any answer that did not stand in the question."""
    # Who is nobody is told so before anything is read: a few of each are enough.
    ask, count = (strangers.ask, 25) if is_named else (replace(strangers, token="").ask, 3)
    assert len(every_operation(strangers.openapi, mode, ask, count=lambda _: count)) > 25
