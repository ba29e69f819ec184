"""Seen: which companies a scope reaches, and in which organisation new ones are."""

import uuid
from typing import Any

import sqlalchemy as sa

from service.domain.default_risk.errors import CompanyNotFoundError, OrganizationNeededError
from service.domain.identity.errors import OrganizationNotFoundError
from service.domain.identity.principal import PrincipalKind
from service.store.access.rows import row_of
from service.store.access.tenants import ensure_tenant
from service.store.audit import database_time
from service.store.part import Part
from service.store.schema.access_tables import organizations
from service.store.schema.default_risk_tables import companies, company_access

_SOME_OF_TENANT = (
    sa.select(organizations).where(organizations.c.tenant_id == sa.bindparam("tenant_id")).limit(2)
)
_FIRST = "default"
"""The code of the organisation that a tenant gets with its first company, where it has none."""


class CompanyPart(Part):
    """What parts about companies have in common."""

    def _sees_companies(self) -> sa.ColumnElement[bool]:
        """Return the condition under which a company is seen: a `user` sees those assigned to them."""
        is_seen = self._sees(companies, organization=companies.c.organization_id)
        if self._scope.of == "user":
            theirs = sa.select(company_access.c.company_id).where(
                company_access.c.user_id == self._scope.user_id
            )
            of_tenant = companies.c.tenant_id == self._scope.tenant_id
            is_seen = sa.and_(of_tenant, companies.c.id.in_(theirs))
        return sa.and_(is_seen, companies.c.deleted_at.is_(None))

    def _made_by_asker(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return the condition under which a row may be deleted: who reaches oneself only made it."""
        if self._scope.of == "user":
            by_asker = table.c.created_by == f"{PrincipalKind.USER}:{self._scope.user_id}"
            return sa.and_(table.c.tenant_id == self._scope.tenant_id, by_asker)
        return self._sees(table, organization=table.c.organization_id)

    def _company(self, company_id: str) -> dict[str, Any]:
        return row_of(self.connection, companies, self._sees_companies(), company_id, CompanyNotFoundError)

    def _organization(self, organization_id: str | None) -> dict[str, Any]:
        """Return the organisation that a new company belongs to.

        Where none is named it is the caller's, or else the tenant's only one, which is made if there is none.
        Raises OrganizationNotFoundError and OrganizationNeededError.
        """
        organization_id = organization_id or self._scope.organization_id
        if organization_id is not None:
            is_seen = self._sees(organizations, organization=organizations.c.id)
            return row_of(self.connection, organizations, is_seen, organization_id, OrganizationNotFoundError)
        tenant_id = self._scope.tenant_id or self._actor.principal.tenant_id
        rows = self.connection.execute(_SOME_OF_TENANT, {"tenant_id": tenant_id}).mappings()
        found = [dict(row) for row in rows]
        if len(found) > 1:
            raise OrganizationNeededError(OrganizationNeededError.example)
        return found[0] if found else self._first_organization(tenant_id)

    def _first_organization(self, tenant_id: str) -> dict[str, Any]:
        now = database_time(self.connection)
        ensure_tenant(self.connection, tenant_id, now)
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "tenant_id": tenant_id,
            "name": "Default",
            "code": _FIRST,
        }
        row |= {"is_active": True, "created_at": now, "updated_at": now}
        self.connection.execute(organizations.insert().values(row))
        return row
