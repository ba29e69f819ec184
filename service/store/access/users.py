"""Users, as they are written down."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.identity.errors import (
    AlreadyExistsError,
    OrganizationNotFoundError,
    TenantNotFoundError,
    UserNotFoundError,
)
from service.domain.identity.people import User
from service.domain.identity.permission import Role
from service.domain.run import Page
from service.store.access.door import close_for_good
from service.store.access.rows import cleaned, page_of, row_of, update_row
from service.store.access.tenants import ensure_tenant
from service.store.audit import record_audit
from service.store.part import Part
from service.store.schema.access_tables import organizations, tenants, users


class Users(Part):
    """People. Who is in the scope of an organisation sees its people, and in that of a user oneself."""

    def _seen(self) -> sa.ColumnElement[bool]:
        return self._sees(users, organization=users.c.organization_id, user=users.c.id)

    async def create(
        self,
        *,
        tenant_id: str,
        organization_id: str | None,
        email: str,
        name: str,
        role: Role,
        password_hash: str | None,
        now: datetime,
    ) -> User:
        """Write a person down; from now on everybody is asked who they are.

        Raises TenantNotFoundError and OrganizationNotFoundError where there is none such, or none in the
        scope, and AlreadyExistsError where the address is another's.
        """
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "tenant_id": tenant_id,
            "organization_id": organization_id,
            "email": cleaned(email).lower(),
            "name": cleaned(name),
            "role": role,
            "is_active": True,
            "created_at": now,
            "updated_at": now,
        }

        def work(connection: sa.Connection) -> User:
            if tenant_id == self._actor.principal.tenant_id:
                ensure_tenant(connection, tenant_id, now)
            self._check_place(connection, tenant_id, organization_id)
            if connection.scalar(sa.select(users.c.id).where(users.c.email == row["email"])) is not None:
                raise AlreadyExistsError(AlreadyExistsError.example)
            connection.execute(users.insert().values(**row, password_hash=password_hash))
            close_for_good(connection, now)
            record_audit(connection, self._actor, "user.create", row["id"], tenant_id=tenant_id)
            return _user(row)

        return await self._database.write(work)

    async def get(self, user_id: str) -> User:
        """Return a person; raises UserNotFoundError."""
        return await self._database.read(lambda connection: _user(self._row(connection, user_id)))

    async def list(self, *, limit: int, cursor: str | None = None) -> Page[User]:
        """Return people by id; `cursor` is the id of the last one seen."""
        return await self._database.read(
            lambda connection: page_of(connection, users, self._seen(), _user, limit=limit, cursor=cursor)
        )

    async def update(self, user_id: str, action: str, *, now: datetime, **changes: Any) -> User:
        """Change `name`, `role`, `organization_id`, `is_active` or `password_hash`.

        `action` is the audit's word for it, such as `user.role`. Raises UserNotFoundError, and
        OrganizationNotFoundError where the new organisation is not one of the tenant's.
        """

        def work(connection: sa.Connection) -> User:
            row = self._row(connection, user_id)
            if "organization_id" in changes:
                self._check_place(connection, row["tenant_id"], changes["organization_id"])
            changed = _user(update_row(connection, users, row, changes, now))
            record_audit(connection, self._actor, action, row["id"], tenant_id=row["tenant_id"])
            return changed

        return await self._database.write(work)

    def _row(self, connection: sa.Connection, user_id: str) -> dict[str, Any]:
        return row_of(connection, users, self._seen(), user_id, UserNotFoundError)

    def _check_place(self, connection: sa.Connection, tenant_id: str, organization_id: str | None) -> None:
        """Raise the error of what is absent, unless there is such a place and the scope reaches it."""
        is_whole = self._scope.of not in {"organization", "user"} and self._scope.includes(tenant_id)
        row_of(
            connection,
            tenants,
            sa.true() if is_whole or organization_id else sa.false(),
            tenant_id,
            TenantNotFoundError,
        )
        if organization_id is None:
            return
        is_seen = sa.and_(
            self._sees(organizations, organization=organizations.c.id), organizations.c.tenant_id == tenant_id
        )
        row_of(connection, organizations, is_seen, organization_id, OrganizationNotFoundError)


def _user(row: dict[str, Any]) -> User:
    row = {name: value for name, value in row.items() if name != "password_hash"}
    # A newer version may know other roles: here they may least.
    return User(**row | {"role": Role(row["role"]) if row["role"] in set(Role) else Role.USER})
