"""The principal: who asks, in whichever way they have shown it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from service.domain.identity.errors import ForbiddenError, NotServedHereError
from service.domain.identity.permission import MATRIX, SCOPES, KeyScope, Permission, Reach, Role
from service.domain.identity.scope import Scope


class PrincipalKind(StrEnum):
    """What a principal is, and so how it was authenticated."""

    ANONYMOUS = "anonymous"
    """Whoever asks a service that asks nobody who they are."""
    API_KEY = "api_key"
    OIDC = "oidc"
    USER = "user"
    SLACK = "slack"
    """Whoever presses a button in the bot's workspace, of a service that asks nobody who they are."""
    INTERNAL = "internal"
    """Another service of the same operator, with `INTERNAL_SERVICE_KEY`; it creates, and sees nothing."""
    COMMAND_LINE = "cli"
    """Whoever can start the command line has the database's address, and so everything."""
    SYSTEM = "system"
    """A process, in what nobody asked it for, such as looking after dead runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: a person with a role, or a machine with scopes."""

    kind: PrincipalKind
    id: str
    """A user's or key's id, an issuer's e-mail address, Slack's id, or the operating system's user."""
    tenant_id: str
    """Whose it is; also a super_admin has a home, and reaches beyond it by the role."""
    organization_id: str | None = None
    role: Role | None = None
    scopes: frozenset[KeyScope] = frozenset()

    @classmethod
    def anonymous(cls, tenant_id: str) -> Self:
        """Return whoever asks an open service: all that machines may, in the process's tenant."""
        return cls(
            kind=PrincipalKind.ANONYMOUS, id="anonymous", tenant_id=tenant_id, scopes=frozenset(KeyScope)
        )

    @classmethod
    def slack(cls, user_id: str, tenant_id: str) -> Self:
        """Return who presses a button of an open service: they may work on alerts."""
        scopes = frozenset({KeyScope.READ, KeyScope.ALERTS})
        return cls(kind=PrincipalKind.SLACK, id=user_id, tenant_id=tenant_id, scopes=scopes)

    @classmethod
    def internal(cls, tenant_id: str) -> Self:
        """Return another service of the same operator: no permission is its, only the routes made for it."""
        return cls(kind=PrincipalKind.INTERNAL, id="internal", tenant_id=tenant_id)

    @classmethod
    def command_line(cls, name: str, tenant_id: str) -> Self:
        """Return who works at the command line."""
        return cls(kind=PrincipalKind.COMMAND_LINE, id=name, tenant_id=tenant_id, role=Role.SUPER_ADMIN)

    @property
    def label(self) -> str:
        """Who it was, for logs and for what is written down: `api_key:3f…`, `user:…`."""
        return self.id if self.id == self.kind else f"{self.kind}:{self.id}"

    def reach(self, permission: Permission) -> Reach | None:
        """Return how far a permission goes here; None where it is not given at all."""
        if self.role is not None:
            reach = MATRIX[self.role].get(permission)
            # Who is in no organisation has nothing of an organisation.
            return None if reach is Reach.ORGANIZATION and self.organization_id is None else reach
        return Reach.TENANT if any(permission in SCOPES[scope] for scope in self.scopes) else None

    def scope(self, permission: Permission) -> Scope:
        """Return whose rows are seen with a permission; raises ForbiddenError where it is not given."""
        match self.reach(permission):
            case Reach.ALL:
                return Scope.of_all()
            case Reach.TENANT:
                return Scope.of_tenant(self.tenant_id)
            case Reach.ORGANIZATION if self.organization_id is not None:
                return Scope.of_organization(self.tenant_id, self.organization_id)
            case Reach.SELF:
                return Scope.of_user(self.tenant_id, self.id)
        raise ForbiddenError(f"this needs the permission {permission}")

    def check_served(self, tenant_id: str) -> None:
        """Raise NotServedHereError unless a process for `tenant_id` does work for this principal.

        Its channels, sources and settings are that tenant's.
        """
        if self.role is not Role.SUPER_ADMIN and self.tenant_id != tenant_id:
            raise NotServedHereError(NotServedHereError.example)
