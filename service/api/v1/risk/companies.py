"""Companies."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Query

from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.routes.router import Routes
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

router = Routes("companies", prefix="/api/v1")

CompanyId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("company_id"))]

Reader = Annotated[Caller, Depends(Needs(Permission.READ_COMPANIES))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_COMPANIES))]
Deleter = Annotated[Caller, Depends(Needs(Permission.DELETE_COMPANIES))]

_ADD_ERRORS = ("organization_not_found", "organization_needed", "already_exists")


@router.declare("GET /companies", "List companies", "organization_not_found", "bad_cursor", gives="companies")
async def list_companies(caller: Reader, query: Annotated[AnyCompanyQuery, Query()]) -> CompaniesOut:
    """List the companies that the caller may see, by symbol."""
    return await _listed(caller, query, query.organization_id)


@router.declare(
    "GET /organizations/{organization_id}/companies",
    "List an organisation's companies",
    "bad_cursor",
    gives="companies",
)
async def list_companies_of(
    caller: Reader, organization_id: OrganizationId, query: Annotated[CompanyQuery, Query()]
) -> CompaniesOut:
    """List the companies of an organisation, by symbol."""
    await caller.app.store.access.organizations.get(organization_id)
    return await _listed(caller, query, organization_id)


@router.declare("POST /companies", "Add a company", *_ADD_ERRORS, gives="company", status=HTTPStatus.CREATED)
async def add_company(caller: Writer, body: AnyCompanyIn) -> CompanyOut:
    """Add a company to an organisation: the one that is named, the caller's, or the tenant's only one.

    A tenant that has none gets one, called `default`.
    """
    return await _added(caller, body, body.organization_id)


@router.declare(
    "POST /organizations/{organization_id}/companies",
    "Add a company to an organisation",
    *_ADD_ERRORS,
    gives="company",
    status=HTTPStatus.CREATED,
)
async def add_company_to(caller: Writer, organization_id: OrganizationId, body: CompanyIn) -> CompanyOut:
    """Add a company to this organisation."""
    return await _added(caller, body, organization_id)


@router.declare("GET /companies/{company_id}", "Show a company", gives="company")
async def get_company(caller: Reader, company_id: CompanyId) -> CompanyOut:
    """Show a company."""
    return CompanyOut.of(await caller.app.store.default_risk.companies.get(company_id))


@router.declare("PATCH /companies/{company_id}", "Change a company", "already_exists", gives="company")
async def change_company(caller: Writer, company_id: CompanyId, body: CompanyChangeIn) -> CompanyOut:
    """Change the symbol, the name, the sector or the market capitalisation."""
    return CompanyOut.of(await caller.app.store.default_risk.companies.update(company_id, **body.changes()))


@router.declare("DELETE /companies/{company_id}", "Delete a company", gives="nothing")
async def delete_company(caller: Deleter, company_id: CompanyId) -> None:
    """Show the company, and what was predicted of it, to nobody any more; another may have its symbol.

    An `org_member` deletes what is their own.
    """
    await delete_own(
        caller,
        lambda store: store.companies.delete(company_id),
        lambda store: store.companies.get(company_id),
        refused=("company.delete", company_id),
    )


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


async def _listed(caller: Caller, query: CompanyQuery, organization_id: str | None) -> CompaniesOut:
    found = await caller.app.store.default_risk.companies.list(
        query.filter(organization_id), limit=query.limit, cursor=query.cursor
    )
    return CompaniesOut.of(found)


async def _added(caller: Caller, body: CompanyIn, organization_id: str | None) -> CompanyOut:
    new = NewCompany(symbol=body.symbol, name=body.name, sector=body.sector, market_cap=body.market_cap)
    made = await caller.app.store.default_risk.companies.create(new, organization_id=organization_id)
    return CompanyOut.of(made)
