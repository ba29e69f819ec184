"""Parameters in paths, headers and query strings."""

from typing import Annotated

from fastapi import Header, Path
from pydantic import BaseModel, ConfigDict, Field

from service.api.examples import with_example
from service.domain.delivery_status import Outcome
from service.domain.progress import RunKindName, RunStatus

RunId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("run_id"))]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[ -~]+$",
        description="Your name for this request. Made again with it within 24 hours, with the same body, it "
        "is the same run and the same answer; while the run goes on, it is waited for.",
    ),
]
Cursor = Annotated[str | None, Field(max_length=500, description="`next_cursor` of the page before.")]


class _Query(BaseModel):
    """Parameters that are not listed are refused, so that a misspelled filter does not list everything."""

    model_config = ConfigDict(extra="forbid")


class RunsQuery(_Query):
    """Which runs to list."""

    limit: int = Field(default=50, ge=1, le=500)
    cursor: Cursor = None
    month: str | None = Field(default=None, description="`YYYY-MM-01`, `current` or `previous`.")
    status: RunStatus | None = None
    kind: RunKindName | None = Field(default=None, description="`outbox`: what leaves between the others.")


class AlertsQuery(_Query):
    """Which alerts of a run to list."""

    outcome: Outcome | None = None
    region: str | None = Field(default=None, description="Exactly as in the source.")
    restated: bool = Field(
        default=False, description="Only those that were sent otherwise than they read now."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    cursor: Cursor = None


class WithdrawnQuery(_Query):
    """Which page of what a run withdrew."""

    limit: int = Field(default=100, ge=1, le=1000)
    cursor: Cursor = None


class ChangesQuery(_Query):
    """How many of what a run changed."""

    limit: int = Field(default=100, ge=0, le=10_000, description="Of each kind; the totals count them all.")


class PreviewQuery(_Query):
    """How much of a preview to show."""

    limit: int = Field(default=500, ge=0, le=10_000, description="Alerts shown; `total` counts them all.")
