"""Tenants."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from service.api.errors import MAX_BODY_BYTES
from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.openapi import CHANGING, READING, v1_answers
from service.api.v1.envelope import AnswerMeta, Success
from service.api.v1.schemas import PageQuery, PlaceChangeIn, PlaceIn, TenantOut, TenantsOut
from service.domain.identity.errors import ForbiddenError
from service.domain.identity.permission import Permission

router = APIRouter(prefix="/api/v1", tags=["tenants"], max_body_size=MAX_BODY_BYTES)

TenantId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("tenant_id"))]
Page = Annotated[PageQuery, Query()]

Reader = Annotated[Caller, Depends(Needs(Permission.READ_TENANTS))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_TENANTS))]


@router.get(
    "/tenants", summary="List tenants", responses=v1_answers("bad_cursor", *READING, examples=["tenants"])
)
async def list_tenants(caller: Reader, meta: AnswerMeta, page: Page) -> Success[TenantsOut]:
    """List the tenants that the caller may see, by id."""
    found = await caller.app.store.access.tenants.list(limit=page.limit, cursor=page.cursor)
    return Success(data=TenantsOut.of(found), meta=meta)


@router.post(
    "/tenants",
    status_code=HTTPStatus.CREATED,
    summary="Add a tenant",
    responses=v1_answers("already_exists", *CHANGING, examples=["tenant"], success=HTTPStatus.CREATED),
)
async def add_tenant(caller: Writer, meta: AnswerMeta, body: PlaceIn) -> Success[TenantOut]:
    """Add a tenant, whose id is then the `TENANT_ID` of the processes that work for it."""
    now = caller.app.clock.now()
    made = await caller.app.store.access.tenants.create(name=body.name, code=body.code, now=now)
    return Success(data=TenantOut.of(made), meta=meta)


@router.get(
    "/tenants/{tenant_id}",
    summary="Show a tenant",
    responses=v1_answers("tenant_not_found", *READING, examples=["tenant"]),
)
async def get_tenant(caller: Reader, meta: AnswerMeta, tenant_id: TenantId) -> Success[TenantOut]:
    """Show a tenant."""
    return Success(data=TenantOut.of(await caller.app.store.access.tenants.get(tenant_id)), meta=meta)


@router.patch(
    "/tenants/{tenant_id}",
    summary="Change a tenant",
    responses=v1_answers("tenant_not_found", "already_exists", *CHANGING, examples=["tenant"]),
)
async def change_tenant(
    caller: Writer, meta: AnswerMeta, tenant_id: TenantId, body: PlaceChangeIn
) -> Success[TenantOut]:
    """Change the name, the code, or whether anybody of the tenant is let in."""
    return await _change_tenant(caller, meta, tenant_id, body.changes())


@router.delete(
    "/tenants/{tenant_id}",
    summary="Deactivate a tenant",
    responses=v1_answers("tenant_not_found", *CHANGING, examples=["tenant"]),
)
async def deactivate_tenant(caller: Writer, meta: AnswerMeta, tenant_id: TenantId) -> Success[TenantOut]:
    """Let nobody of the tenant in any more. Nothing is deleted: runs, alerts and the audit are its own."""
    return await _change_tenant(caller, meta, tenant_id, {"is_active": False})


async def _change_tenant(
    caller: Caller, meta: AnswerMeta, tenant_id: str, changes: dict[str, Any]
) -> Success[TenantOut]:
    if changes.get("is_active") is False and tenant_id == caller.principal.tenant_id:
        await caller.app.store.audit.note("tenant.update", tenant_id)
        raise ForbiddenError("nobody closes the tenant that they are in themselves")
    changed = await caller.app.store.access.tenants.update(tenant_id, now=caller.app.clock.now(), **changes)
    return Success(data=TenantOut.of(changed), meta=meta)
