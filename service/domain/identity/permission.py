"""Permissions: what roles and keys may do, and how far each reaches. One table, which routes and tests read.

A route names the permission that it needs. Who has it, and over whose rows, stands in `MATRIX` for people and
in `SCOPES` for machines; nothing else decides.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """What a person is; from the one who may most to the one who may least."""

    SUPER_ADMIN = "super_admin"
    TENANT_ADMIN = "tenant_admin"
    ORG_ADMIN = "org_admin"
    ORG_MEMBER = "org_member"
    USER = "user"

    @classmethod
    def known(cls, text: str) -> "Role":
        """Return the role as it is written down; one that only a newer version knows may least here."""
        return cls(text) if text in set(cls) else cls.USER


class KeyScope(StrEnum):
    """What an API key, or a token of an issuer, may do."""

    READ = "read"
    """Every GET of runs, alerts, companies and models."""
    RUNS = "runs"
    """Preview, run, cancel, settle."""
    ALERTS = "alerts"
    """Work on alerts."""
    SCORING = "scoring"
    """Change companies and ask for scores."""


class Permission(StrEnum):
    """What a route needs."""

    READ_TENANTS = "tenants.read"
    WRITE_TENANTS = "tenants.write"
    READ_ORGANIZATIONS = "organizations.read"
    UPDATE_ORGANIZATIONS = "organizations.update"
    WRITE_ORGANIZATIONS = "organizations.write"
    """Create and deactivate."""
    READ_USERS = "users.read"
    UPDATE_USERS = "users.update"
    """What a user may change of themselves: the name, the password."""
    WRITE_USERS = "users.write"
    """Create, deactivate, and grant roles: none at or above one's own, see `may_grant`."""
    READ_RUNS = "runs.read"
    WRITE_RUNS = "runs.write"
    READ_ALERTS = "alerts.read"
    WRITE_ALERTS = "alerts.write"
    READ_COMPANIES = "companies.read"
    WRITE_COMPANIES = "companies.write"
    """With scores and jobs."""
    DELETE_COMPANIES = "companies.delete"
    READ_MODELS = "models.read"
    ACTIVATE_MODELS = "models.activate"
    MANAGE_KEYS = "keys.manage"
    READ_AUDIT = "audit.read"


class Reach(IntEnum):
    """Over whose rows; each is part of the next."""

    SELF = 1
    """One's own, or what is assigned to one."""
    ORGANIZATION = 2
    TENANT = 3
    ALL = 4


_ORG_USER: Final = {
    Permission.READ_USERS: Reach.SELF,
    Permission.UPDATE_USERS: Reach.SELF,
    Permission.READ_ALERTS: Reach.TENANT,
    Permission.READ_MODELS: Reach.TENANT,
}
_ORG_MEMBER: Final = _ORG_USER | {
    Permission.READ_ORGANIZATIONS: Reach.ORGANIZATION,
    Permission.READ_RUNS: Reach.TENANT,
    Permission.WRITE_ALERTS: Reach.TENANT,
    Permission.READ_COMPANIES: Reach.ORGANIZATION,
    Permission.WRITE_COMPANIES: Reach.ORGANIZATION,
    Permission.DELETE_COMPANIES: Reach.SELF,
}
_ORG_ADMIN: Final = _ORG_MEMBER | {
    Permission.UPDATE_ORGANIZATIONS: Reach.ORGANIZATION,
    Permission.READ_USERS: Reach.ORGANIZATION,
    Permission.UPDATE_USERS: Reach.ORGANIZATION,
    Permission.WRITE_USERS: Reach.ORGANIZATION,
    Permission.DELETE_COMPANIES: Reach.ORGANIZATION,
}
_TENANT_ADMIN: Final[Mapping[Permission, Reach]] = {
    permission: Reach.TENANT
    for permission in Permission
    if permission not in {Permission.WRITE_TENANTS, Permission.ACTIVATE_MODELS}
}

MATRIX: Final[Mapping[Role, Mapping[Permission, Reach]]] = MappingProxyType(
    {
        Role.SUPER_ADMIN: MappingProxyType(dict.fromkeys(Permission, Reach.ALL)),
        Role.TENANT_ADMIN: MappingProxyType(_TENANT_ADMIN),
        Role.ORG_ADMIN: MappingProxyType(_ORG_ADMIN),
        Role.ORG_MEMBER: MappingProxyType(_ORG_MEMBER),
        Role.USER: MappingProxyType(_ORG_USER | {Permission.READ_COMPANIES: Reach.SELF}),
    }
)
"""What each role may do, and how far; what is not here it may not."""

SCOPES: Final[Mapping[KeyScope, frozenset[Permission]]] = MappingProxyType(
    {
        KeyScope.READ: frozenset(
            {
                *(Permission.READ_RUNS, Permission.READ_ALERTS),
                *(Permission.READ_COMPANIES, Permission.READ_MODELS),
            }
        ),
        KeyScope.RUNS: frozenset({Permission.WRITE_RUNS}),
        KeyScope.ALERTS: frozenset({Permission.WRITE_ALERTS}),
        KeyScope.SCORING: frozenset({Permission.WRITE_COMPANIES, Permission.DELETE_COMPANIES}),
    }
)
"""What each scope of a machine permits, in its own tenant. No machine, and nobody anonymous, ever reaches
tenants, organisations, users, keys or audit."""

_RANKS: Final = (Role.USER, Role.ORG_MEMBER, Role.ORG_ADMIN, Role.TENANT_ADMIN, Role.SUPER_ADMIN)


def may_grant(granter: Role, granted: Role) -> bool:
    """Return whether one role may make somebody, or somebody who is, another: never at or above its own."""
    may_write = Permission.WRITE_USERS in MATRIX[granter]
    return may_write and _RANKS.index(granted) < _RANKS.index(granter)
