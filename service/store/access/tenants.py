"""Tenants, as they are written down."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.identity.errors import AlreadyExistsError, TenantNotFoundError
from service.domain.identity.people import Tenant
from service.domain.run import Page
from service.store.access.rows import row_of, update_row
from service.store.audit import record_audit
from service.store.part import Part, cleaned, reads, writes
from service.store.schema.access_tables import tenants


class Tenants(Part):
    """Those who share the deployment. Who is in the scope of one sees that one."""

    def _seen(self) -> sa.ColumnElement[bool]:
        tenant_id = self._scope.tenant_id
        return sa.true() if tenant_id is None else tenants.c.id == tenant_id

    @writes
    def create(self, *, name: str, code: str, now: datetime) -> Tenant:
        """Write a tenant down; raises AlreadyExistsError where the code is another's."""
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "name": cleaned(name),
            "code": cleaned(code),
            "is_active": True,
            "created_at": now,
            "updated_at": now,
        }
        _check_code(self.connection, row["code"])
        self.connection.execute(tenants.insert().values(row))
        record_audit(self.connection, self._actor, "tenant.create", row["id"], tenant_id=row["id"])
        return Tenant(**row)

    @reads
    def get(self, tenant_id: str) -> Tenant:
        """Return a tenant; raises TenantNotFoundError."""
        return Tenant(**row_of(self.connection, tenants, self._seen(), tenant_id, TenantNotFoundError))

    @reads
    def takes(self, tenant_id: str, *, unless_written_down: bool) -> bool:
        """Return whether a tenant is active; of one that nobody has written down, what is given for that."""
        query = sa.select(tenants.c.is_active).where(self._seen(), tenants.c.id == tenant_id)
        found = self.connection.scalar(query)
        return unless_written_down if found is None else bool(found)

    @reads
    def list(self, *, limit: int, cursor: str | None = None) -> Page[Tenant]:
        """Return tenants by id; `cursor` is the id of the last one seen."""
        query = sa.select(tenants).where(self._seen())
        return self._page_by(tenants.c.id, query, lambda row: Tenant(**row), limit=limit, cursor=cursor)

    @writes
    def update(self, /, tenant_id: str, *, now: datetime, **changes: Any) -> Tenant:
        """Change the `name`, the `code` or `is_active`.

        Raises TenantNotFoundError, and AlreadyExistsError where the code is another's.
        """
        row = row_of(self.connection, tenants, self._seen(), tenant_id, TenantNotFoundError)
        if changes.get("code", row["code"]) != row["code"]:
            _check_code(self.connection, changes["code"])
        changed = Tenant(**update_row(self.connection, tenants, row, changes, now))
        record_audit(self.connection, self._actor, "tenant.update", tenant_id, tenant_id=tenant_id)
        return changed


def ensure_tenant(connection: sa.Connection, tenant_id: str, now: datetime) -> None:
    """Write the tenant of a process down, where nobody has: its first identity is made."""
    if connection.scalar(sa.select(tenants.c.id).where(tenants.c.id == tenant_id)) is None:
        row = {"id": tenant_id, "name": tenant_id, "code": tenant_id, "is_active": True}
        connection.execute(tenants.insert().values(**row, created_at=now, updated_at=now))


def _check_code(connection: sa.Connection, code: str) -> None:
    if connection.scalar(sa.select(tenants.c.id).where(tenants.c.code == code)) is not None:
        raise AlreadyExistsError("the code is another tenant's")
