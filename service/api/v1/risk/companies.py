"""Companies."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from service.api.errors import MAX_BODY_BYTES
from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.openapi import CHANGING, READING, v1_answers
from service.api.v1.envelope import AnswerMeta, Success
from service.api.v1.organizations import OrganizationId
from service.api.v1.risk.schemas import (
    AnyCompanyIn,
    AnyCompanyQuery,
    CompaniesOut,
    CompanyChangeIn,
    CompanyIn,
    CompanyOut,
    CompanyQuery,
)
from service.domain.default_risk.company import NewCompany
from service.domain.errors import RefusedError
from service.domain.identity.errors import ForbiddenError
from service.domain.identity.permission import Permission
from service.store.default_risk.default_risk import DefaultRisk

router = APIRouter(prefix="/api/v1", tags=["companies"], max_body_size=MAX_BODY_BYTES)

CompanyId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("company_id"))]

Reader = Annotated[Caller, Depends(Needs(Permission.READ_COMPANIES))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_COMPANIES))]
Deleter = Annotated[Caller, Depends(Needs(Permission.DELETE_COMPANIES))]

_LISTED = v1_answers("organization_not_found", "bad_cursor", *READING, examples=["companies"])
_ADDED = v1_answers(
    *("organization_not_found", "organization_needed", "already_exists", *CHANGING),
    examples=["company"],
    success=HTTPStatus.CREATED,
)


@router.get("/companies", summary="List companies", responses=_LISTED)
async def list_companies(
    caller: Reader, meta: AnswerMeta, query: Annotated[AnyCompanyQuery, Query()]
) -> Success[CompaniesOut]:
    """List the companies that the caller may see, by symbol."""
    return await _listed(caller, meta, query, query.organization_id)


@router.get(
    "/organizations/{organization_id}/companies",
    summary="List an organisation's companies",
    responses=_LISTED,
)
async def list_companies_of(
    caller: Reader, meta: AnswerMeta, organization_id: OrganizationId, query: Annotated[CompanyQuery, Query()]
) -> Success[CompaniesOut]:
    """List the companies of an organisation, by symbol."""
    await caller.app.store.access.organizations.get(organization_id)
    return await _listed(caller, meta, query, organization_id)


@router.post("/companies", status_code=HTTPStatus.CREATED, summary="Add a company", responses=_ADDED)
async def add_company(caller: Writer, meta: AnswerMeta, body: AnyCompanyIn) -> Success[CompanyOut]:
    """Add a company to an organisation: the one that is named, the caller's, or the tenant's only one.

    A tenant that has none gets one, called `default`.
    """
    return await _added(caller, meta, body, body.organization_id)


@router.post(
    "/organizations/{organization_id}/companies",
    status_code=HTTPStatus.CREATED,
    summary="Add a company to an organisation",
    responses=_ADDED,
)
async def add_company_to(
    caller: Writer, meta: AnswerMeta, organization_id: OrganizationId, body: CompanyIn
) -> Success[CompanyOut]:
    """Add a company to this organisation."""
    return await _added(caller, meta, body, organization_id)


@router.get(
    "/companies/{company_id}",
    summary="Show a company",
    responses=v1_answers("company_not_found", *READING, examples=["company"]),
)
async def get_company(caller: Reader, meta: AnswerMeta, company_id: CompanyId) -> Success[CompanyOut]:
    """Show a company."""
    found = await caller.app.store.default_risk.companies.get(company_id)
    return Success(data=CompanyOut.of(found), meta=meta)


@router.patch(
    "/companies/{company_id}",
    summary="Change a company",
    responses=v1_answers("company_not_found", "already_exists", *CHANGING, examples=["company"]),
)
async def change_company(
    caller: Writer, meta: AnswerMeta, company_id: CompanyId, body: CompanyChangeIn
) -> Success[CompanyOut]:
    """Change the symbol, the name, the sector or the market capitalisation."""
    changed = await caller.app.store.default_risk.companies.update(company_id, **body.changes())
    return Success(data=CompanyOut.of(changed), meta=meta)


@router.delete(
    "/companies/{company_id}",
    summary="Delete a company",
    responses=v1_answers("company_not_found", *CHANGING, examples=["nothing"]),
)
async def delete_company(caller: Deleter, meta: AnswerMeta, company_id: CompanyId) -> Success[None]:
    """Show the company, and what was predicted of it, to nobody any more; another may have its symbol.

    An `org_member` deletes what is their own.
    """
    await delete_own(
        caller,
        lambda store: store.companies.delete(company_id),
        lambda store: store.companies.get(company_id),
        refused=("company.delete", company_id),
    )
    return Success(data=None, meta=meta)


async def delete_own(
    caller: Caller,
    delete: Callable[[DefaultRisk], Awaitable[None]],
    look: Callable[[DefaultRisk], Awaitable[object]],
    *,
    refused: tuple[str, str],
) -> None:
    """Delete something; `look` raises what is absent where the caller does not even see it.

    Raises that, and ForbiddenError for what is seen and not theirs to delete; the audit has it as `refused`,
    the action and what it was about.
    """
    app = caller.app
    try:
        await delete(app.store.default_risk)
    except RefusedError as absent:
        if caller.principal.reach(Permission.READ_COMPANIES) is None:
            raise
        seen = caller.principal.scope(Permission.READ_COMPANIES)
        await look(app.store.seen_by(caller.actor, seen).default_risk)
        await app.store.audit.note(*refused)
        raise ForbiddenError("only who made it, or an administrator, may delete it") from absent


async def _listed(
    caller: Caller, meta: AnswerMeta, query: CompanyQuery, organization_id: str | None
) -> Success[CompaniesOut]:
    found = await caller.app.store.default_risk.companies.list(
        query.filter(organization_id), limit=query.limit, cursor=query.cursor
    )
    return Success(data=CompaniesOut.of(found), meta=meta)


async def _added(
    caller: Caller, meta: AnswerMeta, body: CompanyIn, organization_id: str | None
) -> Success[CompanyOut]:
    new = NewCompany(symbol=body.symbol, name=body.name, sector=body.sector, market_cap=body.market_cap)
    made = await caller.app.store.default_risk.companies.create(new, organization_id=organization_id)
    return Success(data=CompanyOut.of(made), meta=meta)
