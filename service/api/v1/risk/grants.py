"""Grants: who of the role `user` sees which company."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.errors import MAX_BODY_BYTES
from service.api.identity.caller import Caller, Needs
from service.api.openapi import CHANGING, READING, v1_answers
from service.api.v1.envelope import AnswerMeta, Success
from service.api.v1.risk.companies import CompanyId
from service.api.v1.risk.schemas import CompanyGrantOut, CompanyGrantsOut
from service.api.v1.schemas import PageQuery
from service.api.v1.users import UserId
from service.domain.identity.permission import Permission

router = APIRouter(
    prefix="/api/v1/companies/{company_id}/access", tags=["companies"], max_body_size=MAX_BODY_BYTES
)

Granter = Annotated[Caller, Depends(Needs(Permission.WRITE_USERS))]


@router.get(
    "",
    summary="List who sees a company",
    responses=v1_answers("company_not_found", *READING, examples=["grants"]),
)
async def list_grants(
    caller: Granter, meta: AnswerMeta, company_id: CompanyId, page: Annotated[PageQuery, Query()]
) -> Success[CompanyGrantsOut]:
    """List the people of the role `user` who see the company, by id."""
    grants = caller.app.store.default_risk.grants
    found = await grants.list(company_id, limit=page.limit, cursor=page.cursor)
    return Success(data=CompanyGrantsOut.of(found), meta=meta)


@router.put(
    "/{user_id}",
    summary="Let a user see a company",
    responses=v1_answers(
        "company_not_found", "user_not_found", "not_assignable", *CHANGING, examples=["grant"]
    ),
)
async def grant(
    caller: Granter, meta: AnswerMeta, company_id: CompanyId, user_id: UserId
) -> Success[CompanyGrantOut]:
    """Let a person of the role `user` see the company and its predictions; to repeat it does no harm."""
    granted = await caller.app.store.default_risk.grants.grant(company_id, user_id)
    return Success(data=CompanyGrantOut.of(granted), meta=meta)


@router.delete(
    "/{user_id}",
    summary="Let a user see a company no more",
    responses=v1_answers("company_not_found", "user_not_found", *CHANGING, examples=["nothing"]),
)
async def revoke(caller: Granter, meta: AnswerMeta, company_id: CompanyId, user_id: UserId) -> Success[None]:
    """Take a grant back, from the next request on; to repeat it does no harm."""
    await caller.app.store.default_risk.grants.revoke(company_id, user_id)
    return Success(data=None, meta=meta)
