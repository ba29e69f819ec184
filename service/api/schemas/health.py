"""Whether the service can do its job."""

from typing import Literal

from pydantic import Field

from service.api.schemas.answer import Out
from service.api.schemas.error import ErrorOut


class HealthOut(Out):
    """The service can do its job."""

    status: Literal["healthy"] = "healthy"
    ok: Literal[True] = True
    database: Literal["ok", "busy"] = Field(
        description="`busy`: somebody else holds the write lock just now."
    )


class UnhealthyOut(ErrorOut):
    """The service cannot do its job: its database is unreadable, read-only or full."""

    error: Literal["unhealthy"] = "unhealthy"
    status: Literal["unhealthy"] = "unhealthy"
    ok: Literal[False] = False
    database: Literal["unusable"] = "unusable"
