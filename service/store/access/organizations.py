"""Organisations, as they are written down."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.identity.errors import AlreadyExistsError, OrganizationNotFoundError, TenantNotFoundError
from service.domain.identity.people import Organization
from service.domain.run import Page
from service.store.access.rows import row_of, update_row
from service.store.audit import record_audit
from service.store.part import Part, cleaned, matching, reads, writes
from service.store.schema.access_tables import organizations, tenants


class Organizations(Part):
    """The parts of a tenant. Who is in the scope of one sees that one."""

    def _seen(self) -> sa.ColumnElement[bool]:
        return self._sees(organizations, organization=organizations.c.id)

    @writes
    def create(self, tenant_id: str, *, name: str, code: str, now: datetime) -> Organization:
        """Write an organisation of a tenant down.

        Raises TenantNotFoundError, also for a tenant outside the scope, and AlreadyExistsError where the code
        is another's of the tenant.
        """
        values = {
            "id": str(uuid.uuid4()),
            "tenant_id": tenant_id,
            "name": cleaned(name),
            "code": cleaned(code),
        }
        is_seen = sa.true() if self._scope.includes(tenant_id) else sa.false()
        row_of(self.connection, tenants, is_seen, tenant_id, TenantNotFoundError)
        _check_code(self.connection, tenant_id, values["code"])
        row: dict[str, Any] = {**values, "is_active": True, "created_at": now, "updated_at": now}
        self.connection.execute(organizations.insert().values(row))
        record_audit(self.connection, self._actor, "organization.create", row["id"], tenant_id=tenant_id)
        return Organization(**row)

    @reads
    def get(self, organization_id: str) -> Organization:
        """Return an organisation; raises OrganizationNotFoundError."""
        return Organization(**self._row(organization_id))

    @reads
    def list(
        self, *, limit: int, cursor: str | None = None, tenant_id: str | None = None
    ) -> Page[Organization]:
        """Return organisations by id, of one tenant or of all that are seen."""
        query = sa.select(organizations).where(
            self._seen(), *matching({organizations.c.tenant_id: tenant_id})
        )
        return self._page_by(
            organizations.c.id, query, lambda row: Organization(**row), limit=limit, cursor=cursor
        )

    @writes
    def update(self, /, organization_id: str, *, now: datetime, **changes: Any) -> Organization:
        """Change the `name`, the `code` or `is_active`.

        Raises OrganizationNotFoundError, and AlreadyExistsError where the code is another's of the tenant.
        """
        row = self._row(organization_id)
        if changes.get("code", row["code"]) != row["code"]:
            _check_code(self.connection, row["tenant_id"], changes["code"])
        changed = Organization(**update_row(self.connection, organizations, row, changes, now))
        record_audit(
            self.connection, self._actor, "organization.update", row["id"], tenant_id=row["tenant_id"]
        )
        return changed

    def _row(self, organization_id: str) -> dict[str, Any]:
        return row_of(
            self.connection, organizations, self._seen(), organization_id, OrganizationNotFoundError
        )


def _check_code(connection: sa.Connection, tenant_id: str, code: str) -> None:
    same = sa.select(organizations.c.id).where(
        organizations.c.tenant_id == tenant_id, organizations.c.code == code
    )
    if connection.scalar(same) is not None:
        raise AlreadyExistsError("the code is another organisation's")
