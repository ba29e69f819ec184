"""The scope: whose rows are seen and changed; none is a default, and none is empty by accident."""

from dataclasses import dataclass
from typing import Literal, Self

from service.domain.tenant import parse_tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The rows of one tenant, of an organisation or a user in it, or (named so) of all.

    Made by the functions below only; raises ValueError where it would name nobody.
    """

    of: Literal["all", "tenant", "organization", "user", "system"]
    tenant_id: str | None = None
    """None in the scope of all only."""
    organization_id: str | None = None
    user_id: str | None = None

    def __post_init__(self) -> None:
        if (self.of == "all") != (self.tenant_id is None):
            raise ValueError("a scope is of one tenant, or of all")
        if self.tenant_id is not None and self.tenant_id != parse_tenant(self.tenant_id):
            raise ValueError("a tenant's id is a UUID in lower case")
        if (self.of == "organization") != bool(self.organization_id):
            raise ValueError("a scope of an organisation names it, and no other does")
        if (self.of == "user") != bool(self.user_id):
            raise ValueError("a scope of a user names it, and no other does")

    @classmethod
    def of_all(cls) -> Self:
        """Return the scope of whoever sees every tenant."""
        return cls(of="all")

    @classmethod
    def of_tenant(cls, tenant_id: str) -> Self:
        """Return the scope of a tenant."""
        return cls(of="tenant", tenant_id=tenant_id)

    @classmethod
    def of_organization(cls, tenant_id: str, organization_id: str) -> Self:
        """Return the scope of an organisation of a tenant."""
        return cls(of="organization", tenant_id=tenant_id, organization_id=organization_id)

    @classmethod
    def of_user(cls, tenant_id: str, user_id: str) -> Self:
        """Return the scope of one user of a tenant."""
        return cls(of="user", tenant_id=tenant_id, user_id=user_id)

    @classmethod
    def of_system(cls, tenant_id: str) -> Self:
        """Return the scope of what a process does unasked for its tenant, such as looking after dead runs."""
        return cls(of="system", tenant_id=tenant_id)

    def includes(self, tenant_id: str) -> bool:
        """Return whether rows of a tenant can be seen at all."""
        return self.tenant_id in {None, tenant_id}

    @property
    def one_tenant(self) -> str:
        """The tenant that it is of; raises ValueError for the scope of all, in which nobody writes."""
        if self.tenant_id is None:
            raise ValueError("what is written belongs to one tenant")
        return self.tenant_id
