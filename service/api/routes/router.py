"""Routes: each is declared in a line, with what it gives and the errors of its own."""

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from inspect import Parameter, iscoroutinefunction, signature
from string import Formatter
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.responses import Response

from service.api.errors import MAX_BODY_BYTES
from service.api.openapi import CHANGING, READING, answers
from service.api.schemas.error import ErrorOut
from service.api.v1.envelope import PREFIX, AnswerMeta, Failure, Meta, Success

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Routes(APIRouter):
    """Routes that name the errors of their own; those that all can answer are added.

    Endpoints under `/api/v1` return what goes into its envelope.
    """

    def __init__(self, tag: str, *, prefix: str = "", max_body_size: int | None = MAX_BODY_BYTES) -> None:
        # Limited here: a limit of the whole application would lie outside the middleware that gives it our
        # shape.
        super().__init__(prefix=prefix, tags=[tag], max_body_size=max_body_size)
        self._is_v1 = prefix.startswith(PREFIX)

    def declare(
        self,
        route: str,
        summary: str,
        *codes: str,
        gives: str,
        status: HTTPStatus = HTTPStatus.OK,
        media_type: str = "application/json",
        csv: str | None = None,
        besides: Mapping[int | str, dict[str, Any]] | None = None,
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route, such as `GET /runs/{run_id}`, by the codes of the errors that are its own.

        What its path names may be unknown. `gives`, words, and `csv` name examples of its success, `besides`
        are further answers, `options` FastAPI's.
        """
        method, _, path = route.partition(" ")
        names = [name or "" for _, name, _, _ in Formatter().parse(self.prefix + path)]
        unknown = [f"{name.removesuffix('_id')}_not_found" for name in names if name.endswith("_id")]
        others = READING if method == "GET" else CHANGING
        examples = [f"v1_{name}" if self._is_v1 else name for name in gives.split()]
        responses = answers(
            *(*others, *unknown, *codes),
            examples=examples,
            media_type=media_type,
            csv=csv,
            success=status,
            failure=Failure if self._is_v1 else ErrorOut,
        )

        def declared(endpoint: Endpoint) -> Endpoint:
            given: Callable[..., Any] = endpoint
            if self._is_v1 and iscoroutinefunction(endpoint):
                shape = options.pop("response_model", signature(endpoint).return_annotation)
                given = _in_envelope(endpoint)
                options["response_model"] = Success[shape]  # type: ignore[valid-type]  # known when it runs
            self.add_api_route(
                path,
                given,
                methods=[method],
                summary=summary,
                status_code=status,
                responses=responses | dict(besides or {}),
                **options,
            )
            return endpoint

        return declared


def _in_envelope(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return an endpoint whose answer, unless it is made already, is in the envelope of /api/v1."""

    @wraps(endpoint)
    async def wrapped(*, meta: Meta, **given: Any) -> Any:
        data = await endpoint(**given)
        return data if isinstance(data, Response) else Success(data=data, meta=meta)

    taken = signature(endpoint)
    meta = Parameter("meta", Parameter.KEYWORD_ONLY, annotation=AnswerMeta)
    # FastAPI reads from it what to give: all that the endpoint takes, and what is said about the answer.
    wrapped.__signature__ = taken.replace(parameters=[*taken.parameters.values(), meta])  # type: ignore[attr-defined]
    return wrapped
