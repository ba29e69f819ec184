"""Organisations: the parts of a tenant."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from service.api.errors import MAX_BODY_BYTES
from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.openapi import CHANGING, READING, v1_answers
from service.api.v1.envelope import AnswerMeta, Success
from service.api.v1.schemas import OrganizationChangeIn, OrganizationOut, OrganizationsOut, PageQuery, PlaceIn
from service.api.v1.tenants import TenantId
from service.domain.identity.errors import ForbiddenError
from service.domain.identity.permission import Permission

router = APIRouter(prefix="/api/v1", tags=["organisations"], max_body_size=MAX_BODY_BYTES)

OrganizationId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("organization_id"))]

Reader = Annotated[Caller, Depends(Needs(Permission.READ_ORGANIZATIONS))]
Updater = Annotated[Caller, Depends(Needs(Permission.UPDATE_ORGANIZATIONS))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_ORGANIZATIONS))]


@router.get(
    "/tenants/{tenant_id}/organizations",
    summary="List a tenant's organisations",
    responses=v1_answers("tenant_not_found", *READING, examples=["organizations"]),
)
async def list_organizations(
    caller: Reader, meta: AnswerMeta, tenant_id: TenantId, page: Annotated[PageQuery, Query()]
) -> Success[OrganizationsOut]:
    """List those of a tenant's organisations that the caller may see, by id."""
    await caller.app.store.access.tenants.get(tenant_id)
    found = await caller.app.store.access.organizations.list(
        limit=page.limit, cursor=page.cursor, tenant_id=tenant_id
    )
    return Success(data=OrganizationsOut.of(found), meta=meta)


@router.post(
    "/tenants/{tenant_id}/organizations",
    status_code=HTTPStatus.CREATED,
    summary="Add an organisation",
    responses=v1_answers(
        *("tenant_not_found", "already_exists", *CHANGING),
        examples=["organization"],
        success=HTTPStatus.CREATED,
    ),
)
async def add_organization(
    caller: Writer, meta: AnswerMeta, tenant_id: TenantId, body: PlaceIn
) -> Success[OrganizationOut]:
    """Add an organisation to a tenant."""
    now = caller.app.clock.now()
    made = await caller.app.store.access.organizations.create(
        tenant_id, name=body.name, code=body.code, now=now
    )
    return Success(data=OrganizationOut.of(made), meta=meta)


@router.get(
    "/organizations/{organization_id}",
    summary="Show an organisation",
    responses=v1_answers("organization_not_found", *READING, examples=["organization"]),
)
async def get_organization(
    caller: Reader, meta: AnswerMeta, organization_id: OrganizationId
) -> Success[OrganizationOut]:
    """Show an organisation."""
    found = await caller.app.store.access.organizations.get(organization_id)
    return Success(data=OrganizationOut.of(found), meta=meta)


@router.patch(
    "/organizations/{organization_id}",
    summary="Change an organisation",
    responses=v1_answers("organization_not_found", "already_exists", *CHANGING, examples=["organization"]),
)
async def change_organization(
    caller: Updater, meta: AnswerMeta, organization_id: OrganizationId, body: OrganizationChangeIn
) -> Success[OrganizationOut]:
    """Change the name, the code, the alerts' channel, or (who may add one) whether anybody is let in."""
    organizations = caller.app.store.access.organizations
    changes = body.changes()
    if "is_active" in changes and caller.principal.reach(Permission.WRITE_ORGANIZATIONS) is None:
        # Whether there is one is said first: a foreign one is absent for whoever asks.
        await organizations.get(organization_id)
        await caller.app.store.audit.note("organization.update", organization_id)
        raise ForbiddenError(f"this needs the permission {Permission.WRITE_ORGANIZATIONS}")
    changed = await organizations.update(organization_id, now=caller.app.clock.now(), **changes)
    return Success(data=OrganizationOut.of(changed), meta=meta)


@router.delete(
    "/organizations/{organization_id}",
    summary="Deactivate an organisation",
    responses=v1_answers("organization_not_found", *CHANGING, examples=["organization"]),
)
async def deactivate_organization(
    caller: Writer, meta: AnswerMeta, organization_id: OrganizationId
) -> Success[OrganizationOut]:
    """Let nobody of the organisation in any more; its people, and what they did, stay written down."""
    organizations = caller.app.store.access.organizations
    changed = await organizations.update(organization_id, now=caller.app.clock.now(), is_active=False)
    return Success(data=OrganizationOut.of(changed), meta=meta)
