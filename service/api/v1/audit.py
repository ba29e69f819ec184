"""The audit: who did what."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from service.api.identity.caller import Caller, Needs
from service.api.routes.router import Routes
from service.api.schemas.audit import AuditOut
from service.api.v1.schemas import PageQuery
from service.domain.identity.permission import Permission

router = Routes("audit", prefix="/api/v1/audit", max_body_size=None)

Reader = Annotated[Caller, Depends(Needs(Permission.READ_AUDIT))]


class AuditQuery(PageQuery):
    """Which entries to list."""

    action: Annotated[str | None, Field(max_length=100, description="Such as `user.role`.")] = None
    principal: Annotated[str | None, Field(max_length=400, description="As entries name it.")] = None


@router.declare("GET", "List what was done", "bad_cursor", gives="audit")
async def list_audit(caller: Reader, query: Annotated[AuditQuery, Query()]) -> AuditOut:
    """List changes, log-ins and refused changes, newest first, of the tenants that the caller may see."""
    found = await caller.app.store.audit.list(
        limit=query.limit, cursor=query.cursor, action=query.action, principal=query.principal
    )
    return AuditOut.of(found)
