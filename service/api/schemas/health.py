"""Whether the service can do its job."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypedDict

from pydantic import Field

from service.api.schemas.answer import Out
from service.api.schemas.error import ErrorOut
from service.domain.default_risk.prediction_kind import PredictionKind


class ServiceOut(Out):
    """What this is and where to go."""

    service: Literal["risk-alerts"] = "risk-alerts"
    summary: str = "Reports in Slack which accounts are At Risk, once per account and month."
    docs: Literal["/docs"] = "/docs"
    openapi: Literal["/openapi.json"] = "/openapi.json"
    health: Literal["/health"] = "/health"
    runs: Literal["/runs"] = "/runs"


class LiveOut(Out):
    """The process lives."""

    status: Literal["alive"] = "alive"
    ok: Literal[True] = True


class Configured(TypedDict):
    """The checks of what may be left out."""

    slack: Literal["configured", "not_configured"]
    routing: Literal["configured", "not_configured"]


class ChecksOut(Out):
    """Each part that the service needs for its job; only the database makes it unhealthy."""

    database: Literal["ok", "busy", "unusable"]
    slack: Literal["configured", "not_configured"] = Field(
        description="Whether there is a webhook to post to."
    )
    routing: Literal["configured", "not_configured"] = Field(
        description="Whether any region leads to a channel."
    )
    models: Literal["ok", "unusable", "unknown"] = Field(
        description="Whether every active model is what its sha256 says; `unknown`: the database cannot say."
    )


class HealthOut(Out):
    """The service can do its job."""

    status: Literal["healthy"] = "healthy"
    service: Literal["risk-alerts"] = "risk-alerts"
    ok: Literal[True] = True
    database: Literal["ok", "busy"] = Field(
        description="`busy`: somebody else holds the write lock just now."
    )
    checks: ChecksOut
    models: Mapping[PredictionKind, str | None] = Field(
        description="By kind of statement: the sha256 of the active model; null: it cannot be used."
    )
    timestamp: datetime


class UnhealthyOut(ErrorOut):
    """The service cannot do its job: its database is unreadable, read-only or full."""

    error: Literal["unhealthy"] = "unhealthy"
    status: Literal["unhealthy"] = "unhealthy"
    ok: Literal[False] = False
    database: Literal["unusable"] = "unusable"
    checks: ChecksOut
    timestamp: datetime
