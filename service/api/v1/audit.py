"""The audit: who did what."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from service.api.identity.caller import Caller, Needs
from service.api.openapi import READING, v1_answers
from service.api.schemas.audit import AuditOut
from service.api.v1.envelope import AnswerMeta, Success
from service.api.v1.schemas import PageQuery
from service.domain.identity.permission import Permission

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])

Reader = Annotated[Caller, Depends(Needs(Permission.READ_AUDIT))]


class AuditQuery(PageQuery):
    """Which entries to list."""

    action: Annotated[str | None, Field(max_length=100, description="Such as `user.role`.")] = None
    principal: Annotated[str | None, Field(max_length=400, description="As entries name it.")] = None


@router.get(
    "", summary="List what was done", responses=v1_answers("bad_cursor", *READING, examples=["audit"])
)
async def list_audit(
    caller: Reader, meta: AnswerMeta, query: Annotated[AuditQuery, Query()]
) -> Success[AuditOut]:
    """List changes, log-ins and refused changes, newest first, of the tenants that the caller may see."""
    found = await caller.app.store.audit.list(
        limit=query.limit, cursor=query.cursor, action=query.action, principal=query.principal
    )
    return Success(data=AuditOut.of(found), meta=meta)
