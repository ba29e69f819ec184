"""Other services of the same operator: they show INTERNAL_SERVICE_KEY, and create what is a tenant's."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request

from service.api.context import Opened
from service.api.identity.caller import Caller, actor_of
from service.domain.identity.actor import Actor
from service.domain.identity.errors import TenantNotFoundError, UnauthenticatedError
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.runs.context import App


@dataclass(frozen=True, slots=True)
class InternalService:
    """Another service, which says in each body whose tenant it works for."""

    _actor: Actor
    _app: App

    async def for_tenant(self, tenant_id: str) -> Caller:
        """Return it as the caller who creates something for a tenant; raises TenantNotFoundError.

        While nobody is asked who they are, tenants are whatever callers say. From the first identity on they
        are those that were written down and are active, and the process's own.
        """
        actor = replace(self._actor, principal=Principal.internal(tenant_id))
        scope = Scope.of_tenant(tenant_id)
        app = replace(self._app, store=self._app.store.seen_by(actor, scope))
        if not await app.authenticator.is_open() and not await app.store.access.tenants.takes(
            tenant_id, unless_written_down=tenant_id == app.tenant_id
        ):
            raise TenantNotFoundError(TenantNotFoundError.example)
        return Caller(actor=actor, scope=scope, app=app)


async def internal_service(request: Request, context: Opened) -> InternalService:
    """Return the service that asks; raises UnauthenticatedError for everybody else."""
    actor = actor_of(request)
    if actor.principal.kind is not PrincipalKind.INTERNAL:
        raise UnauthenticatedError(UnauthenticatedError.example)
    return InternalService(actor, context.app)


Internal = Annotated[InternalService, Depends(internal_service)]
"""A route's parameter of this type is another service. Such routes are under `/internal/` and only create."""
