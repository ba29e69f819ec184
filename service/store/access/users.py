"""Users, as they are written down."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.identity.errors import (
    AlreadyExistsError,
    ForbiddenError,
    OrganizationNotFoundError,
    TenantNotFoundError,
    UserNotFoundError,
)
from service.domain.identity.people import User
from service.domain.identity.permission import Role, may_grant
from service.domain.identity.principal import PrincipalKind
from service.domain.run import Page
from service.store.access.door import close_for_good
from service.store.access.rows import row_of, update_row
from service.store.access.sessions import end_log_ins
from service.store.access.tenants import ensure_tenant
from service.store.audit import Audit, record_audit
from service.store.part import Part, cleaned, reads
from service.store.schema.access_tables import organizations, tenants, users

_OF_ONESELF: Final = frozenset({"name", "password_hash"})
"""What everybody may change of themselves, whatever they are."""
_UNRANKED: Final = frozenset({PrincipalKind.COMMAND_LINE, PrincipalKind.SYSTEM})


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
        scope, ForbiddenError where the role is not below that of who asks, and AlreadyExistsError where the
        address is another's.
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
            self._check_rank(connection, role)
            if connection.scalar(sa.select(users.c.id).where(users.c.email == row["email"])) is not None:
                raise AlreadyExistsError(AlreadyExistsError.example)
            connection.execute(users.insert().values(**row, password_hash=password_hash))
            close_for_good(connection, now)
            record_audit(connection, self._actor, "user.create", row["id"], tenant_id=tenant_id)
            return _user(row)

        return await self._write(work, "user.create", row["email"])

    @reads
    def get(self, user_id: str) -> User:
        """Return a person; raises UserNotFoundError."""
        return _user(self._row(self.connection, user_id))

    @reads
    def list(self, *, limit: int, cursor: str | None = None) -> Page[User]:
        """Return people by id; `cursor` is the id of the last one seen."""
        query = sa.select(users).where(self._seen())
        return self._page_by(users.c.id, query, _user, limit=limit, cursor=cursor)

    async def update(self, user_id: str, action: str, *, now: datetime, **changes: Any) -> User:
        """Change `name`, `role`, `organization_id`, `is_active` or `password_hash`.

        A new password, and an end, end all log-ins. `action` is the audit's word for it, such as `user.role`.
        Raises UserNotFoundError, ForbiddenError where the person's role, as it is now or is to be, is not
        below that of who asks, and OrganizationNotFoundError where the new organisation is not one of the
        tenant's.
        """

        def work(connection: sa.Connection) -> User:
            row = self._row(connection, user_id)
            if not (changes.keys() <= _OF_ONESELF and user_id == self._actor.principal.id):
                # In here: whoever was a member when this was asked may have been promoted since.
                self._check_rank(connection, Role.known(row["role"]), changes.get("role"))
            if "organization_id" in changes:
                self._check_place(connection, row["tenant_id"], changes["organization_id"])
            changed = _user(update_row(connection, users, row, changes, now))
            if not changed.is_active or "password_hash" in changes:
                end_log_ins(connection, user_id)
            record_audit(connection, self._actor, action, row["id"], tenant_id=row["tenant_id"])
            return changed

        return await self._write(work, action, user_id)

    async def _write(self, work: Callable[[sa.Connection], User], action: str, target: str) -> User:
        """Change something; that it was refused is in the audit as well."""
        try:
            return await self.database.write(work)
        except ForbiddenError:
            await Audit(self.database, self._scope, self._actor).note(action, target)
            raise

    def _check_rank(self, connection: sa.Connection, *roles: Role | None) -> None:
        """Raise ForbiddenError unless who asks may grant, and take away, each of these roles.

        Who works at the command line may. A person may by the role that they have in this transaction: it may
        have been lowered since they were let in.
        """
        principal = self._actor.principal
        if principal.kind in _UNRANKED:
            return
        query = sa.select(users.c.role).where(users.c.id == principal.id, users.c.is_active)
        own = connection.scalar(query)
        if own is None or not all(role is None or may_grant(Role.known(own), role) for role in roles):
            raise ForbiddenError("only who has a higher role may do this")

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


def _user(row: Mapping[str, Any]) -> User:
    values = {name: value for name, value in row.items() if name != "password_hash"}
    return User(**values | {"role": Role.known(row["role"])})
