"""The envelope of /api/v1: what every answer is wrapped in, successes and errors alike."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from fastapi import Depends, Request
from pydantic import Field
from starlette.types import Scope

from service.api.schemas.answer import Out
from service.domain.errors import RiskAlertsError

PREFIX: Final = "/api/v1"
VALIDATION_ERROR: Final = "VALIDATION_ERROR"

T = TypeVar("T")


class Meta(Out):
    """About the answer itself."""

    timestamp: datetime
    version: str = Field(description="Of the service.")
    request_id: str = Field(description="As in the header `X-Request-Id`.")


class Success(Out, Generic[T]):
    """What was asked for."""

    success: Literal[True] = True
    data: T
    meta: Meta


class Details(Out):
    """What is wrong with a request."""

    field: str = Field(
        description="The part that is wrong, such as `body.email`; the first, where several are."
    )
    reason: str


class Problem(Out):
    """An error."""

    code: str = Field(description="Stable code to branch on, in capitals.")
    message: str = Field(description="One sentence for a person.")
    details: Details | None = Field(description="Of a `VALIDATION_ERROR`.")


class Failure(Out):
    """Why it was not."""

    success: Literal[False] = False
    error: Problem
    meta: Meta


def wraps(scope: Scope) -> bool:
    """Return whether the answer to a request goes into the envelope."""
    path: str = scope["path"]
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def code_of(error: type[RiskAlertsError]) -> str:
    """Return an error's code as the envelope has it."""
    return VALIDATION_ERROR if error.code == "invalid_request" else error.code.upper()


def meta_of(scope: Scope) -> Meta:
    """Return what is said about the answer to a request."""
    request_id = scope.get("state", {}).get("request_id", "")
    return Meta(timestamp=datetime.now(UTC), version=_version(), request_id=request_id)


def failure(
    scope: Scope, error: type[RiskAlertsError], message: str, details: Mapping[str, str] | None
) -> dict[str, Any]:
    """Return the body of an error."""
    problem = Problem(
        code=code_of(error), message=message, details=Details.of(details) if details is not None else None
    )
    return Failure(error=problem, meta=meta_of(scope)).model_dump(mode="json")


async def _meta(request: Request) -> Meta:
    return meta_of(request.scope)


@cache
def _version() -> str:
    return version("risk-alerts")


AnswerMeta = Annotated[Meta, Depends(_meta)]
"""A route's parameter of this type is what it answers about its answer."""
