"""Tenants."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Path, Query

from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.routes.router import Routes
from service.api.v1.schemas import PageQuery, PlaceChangeIn, PlaceIn, TenantOut, TenantsOut
from service.domain.identity.errors import ForbiddenError
from service.domain.identity.permission import Permission

router = Routes("tenants", prefix="/api/v1")

TenantId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("tenant_id"))]
Page = Annotated[PageQuery, Query()]

Reader = Annotated[Caller, Depends(Needs(Permission.READ_TENANTS))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_TENANTS))]


@router.declare("GET /tenants", "List tenants", "bad_cursor", gives="tenants")
async def list_tenants(caller: Reader, page: Page) -> TenantsOut:
    """List the tenants that the caller may see, by id."""
    return TenantsOut.of(await caller.app.store.access.tenants.list(limit=page.limit, cursor=page.cursor))


@router.declare("POST /tenants", "Add a tenant", "already_exists", gives="tenant", status=HTTPStatus.CREATED)
async def add_tenant(caller: Writer, body: PlaceIn) -> TenantOut:
    """Add a tenant, whose id is then the `TENANT_ID` of the processes that work for it."""
    now = caller.app.clock.now()
    return TenantOut.of(await caller.app.store.access.tenants.create(name=body.name, code=body.code, now=now))


@router.declare("GET /tenants/{tenant_id}", "Show a tenant", gives="tenant")
async def get_tenant(caller: Reader, tenant_id: TenantId) -> TenantOut:
    """Show a tenant."""
    return TenantOut.of(await caller.app.store.access.tenants.get(tenant_id))


@router.declare("PATCH /tenants/{tenant_id}", "Change a tenant", "already_exists", gives="tenant")
async def change_tenant(caller: Writer, tenant_id: TenantId, body: PlaceChangeIn) -> TenantOut:
    """Change the name, the code, or whether anybody of the tenant is let in."""
    return await _change_tenant(caller, tenant_id, body.changes())


@router.declare("DELETE /tenants/{tenant_id}", "Deactivate a tenant", gives="tenant")
async def deactivate_tenant(caller: Writer, tenant_id: TenantId) -> TenantOut:
    """Let nobody of the tenant in any more. Nothing is deleted: runs, alerts and the audit are its own."""
    return await _change_tenant(caller, tenant_id, {"is_active": False})


async def _change_tenant(caller: Caller, tenant_id: str, changes: dict[str, Any]) -> TenantOut:
    if changes.get("is_active") is False and tenant_id == caller.principal.tenant_id:
        await caller.app.store.audit.note("tenant.update", tenant_id)
        raise ForbiddenError("nobody closes the tenant that they are in themselves")
    changed = await caller.app.store.access.tenants.update(tenant_id, now=caller.app.clock.now(), **changes)
    return TenantOut.of(changed)
