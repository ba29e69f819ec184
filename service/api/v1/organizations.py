"""Organisations: the parts of a tenant."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Query

from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.routes.router import Routes
from service.api.v1.schemas import OrganizationChangeIn, OrganizationOut, OrganizationsOut, PageQuery, PlaceIn
from service.api.v1.tenants import TenantId
from service.domain.identity.errors import ForbiddenError
from service.domain.identity.permission import Permission

router = Routes("organisations", prefix="/api/v1")

OrganizationId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("organization_id"))]

Reader = Annotated[Caller, Depends(Needs(Permission.READ_ORGANIZATIONS))]
Updater = Annotated[Caller, Depends(Needs(Permission.UPDATE_ORGANIZATIONS))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_ORGANIZATIONS))]


@router.declare(
    "GET /tenants/{tenant_id}/organizations", "List a tenant's organisations", gives="organizations"
)
async def list_organizations(
    caller: Reader, tenant_id: TenantId, page: Annotated[PageQuery, Query()]
) -> OrganizationsOut:
    """List those of a tenant's organisations that the caller may see, by id."""
    await caller.app.store.access.tenants.get(tenant_id)
    found = await caller.app.store.access.organizations.list(
        limit=page.limit, cursor=page.cursor, tenant_id=tenant_id
    )
    return OrganizationsOut.of(found)


@router.declare(
    "POST /tenants/{tenant_id}/organizations",
    "Add an organisation",
    "already_exists",
    gives="organization",
    status=HTTPStatus.CREATED,
)
async def add_organization(caller: Writer, tenant_id: TenantId, body: PlaceIn) -> OrganizationOut:
    """Add an organisation to a tenant."""
    now = caller.app.clock.now()
    made = await caller.app.store.access.organizations.create(
        tenant_id, name=body.name, code=body.code, now=now
    )
    return OrganizationOut.of(made)


@router.declare("GET /organizations/{organization_id}", "Show an organisation", gives="organization")
async def get_organization(caller: Reader, organization_id: OrganizationId) -> OrganizationOut:
    """Show an organisation."""
    return OrganizationOut.of(await caller.app.store.access.organizations.get(organization_id))


@router.declare(
    "PATCH /organizations/{organization_id}", "Change an organisation", "already_exists", gives="organization"
)
async def change_organization(
    caller: Updater, organization_id: OrganizationId, body: OrganizationChangeIn
) -> OrganizationOut:
    """Change the name, the code, the alerts' channel, or (who may add one) whether anybody is let in."""
    organizations = caller.app.store.access.organizations
    changes = body.changes()
    if "is_active" in changes and caller.principal.reach(Permission.WRITE_ORGANIZATIONS) is None:
        # Whether there is one is said first: a foreign one is absent for whoever asks.
        await organizations.get(organization_id)
        await caller.app.store.audit.note("organization.update", organization_id)
        raise ForbiddenError(f"this needs the permission {Permission.WRITE_ORGANIZATIONS}")
    changed = await organizations.update(organization_id, now=caller.app.clock.now(), **changes)
    return OrganizationOut.of(changed)


@router.declare("DELETE /organizations/{organization_id}", "Deactivate an organisation", gives="organization")
async def deactivate_organization(caller: Writer, organization_id: OrganizationId) -> OrganizationOut:
    """Let nobody of the organisation in any more; its people, and what they did, stay written down."""
    organizations = caller.app.store.access.organizations
    changed = await organizations.update(organization_id, now=caller.app.clock.now(), is_active=False)
    return OrganizationOut.of(changed)
