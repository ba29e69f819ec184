"""Grants: who of the role `user` sees which company."""

from typing import Annotated

from fastapi import Depends, Query

from service.api.identity.caller import Caller, Needs
from service.api.routes.router import Routes
from service.api.v1.risk.companies import CompanyId
from service.api.v1.risk.schemas import CompanyGrantOut, CompanyGrantsOut
from service.api.v1.schemas import PageQuery
from service.api.v1.users import UserId
from service.domain.identity.permission import Permission

router = Routes("companies", prefix="/api/v1/companies/{company_id}/access")

Granter = Annotated[Caller, Depends(Needs(Permission.WRITE_USERS))]


@router.declare("GET", "List who sees a company", gives="grants")
async def list_grants(
    caller: Granter, company_id: CompanyId, page: Annotated[PageQuery, Query()]
) -> CompanyGrantsOut:
    """List the people of the role `user` who see the company, by id."""
    grants = caller.app.store.default_risk.grants
    return CompanyGrantsOut.of(await grants.list(company_id, limit=page.limit, cursor=page.cursor))


@router.declare("PUT /{user_id}", "Let a user see a company", "not_assignable", gives="grant")
async def grant(caller: Granter, company_id: CompanyId, user_id: UserId) -> CompanyGrantOut:
    """Let a person of the role `user` see the company and its predictions; to repeat it does no harm."""
    return CompanyGrantOut.of(await caller.app.store.default_risk.grants.grant(company_id, user_id))


@router.declare("DELETE /{user_id}", "Let a user see a company no more", gives="nothing")
async def revoke(caller: Granter, company_id: CompanyId, user_id: UserId) -> None:
    """Take a grant back, from the next request on; to repeat it does no harm."""
    await caller.app.store.default_risk.grants.revoke(company_id, user_id)
