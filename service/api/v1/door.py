"""What the routes of /api/v1 are given: who asks, and what those work with who have nothing to show yet."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.access.people import People
from service.api.context import Opened
from service.api.identity.caller import principal_of
from service.domain.identity.actor import Actor
from service.domain.identity.principal import Principal
from service.domain.identity.scope import Scope
from service.store.access.sessions import Sessions


@dataclass(frozen=True, slots=True)
class LogIns:
    """What log-ins are made with."""

    people: People
    sessions: Sessions
    address: str


async def _log_ins(request: Request, context: Opened) -> LogIns:
    app = context.app
    address = request.client.host if request.client else ""
    actor = Actor(
        principal=Principal.anonymous(app.tenant_id),
        address=address,
        request_id=getattr(request.state, "request_id", None),
    )
    sessions = app.store.seen_by(actor, Scope.of_all()).access.sessions
    return LogIns(app.people, sessions, address)


Doorway = Annotated[LogIns, Depends(_log_ins)]
"""A route's parameter of this type is for who has no token yet, or gives one back."""


async def _asking(request: Request) -> Principal:
    return principal_of(request)


Asking = Annotated[Principal, Depends(_asking)]
"""A route's parameter of this type is who asks, whatever they may do."""
