"""The actor: a principal in the act, as the audit keeps it."""

from dataclasses import dataclass
from typing import Self

from service.domain.identity.principal import Principal, PrincipalKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something, from where, and in which request."""

    principal: Principal
    address: str | None = None
    request_id: str | None = None

    @classmethod
    def system(cls, tenant_id: str) -> Self:
        """Return the process itself, in what nobody asked it for."""
        return cls(principal=Principal(kind=PrincipalKind.SYSTEM, id="system", tenant_id=tenant_id))
