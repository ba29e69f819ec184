"""The caller: who asks, what they may do, and the application as they see it. Routes name what they need."""

from dataclasses import dataclass, replace

from fastapi import Request

from service.api.access import READING
from service.api.context import Opened
from service.domain.errors import RefusedError
from service.domain.identity.actor import Actor
from service.domain.identity.errors import ForbiddenError, NotServedHereError, UnauthenticatedError
from service.domain.identity.permission import Permission
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.runs.context import App


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever makes a request, in what the route needed of them."""

    actor: Actor
    scope: Scope
    app: App
    """Whose store sees the rows of `scope`, and writes the caller's name under what is done."""

    @property
    def principal(self) -> Principal:
        """Who it is."""
        return self.actor.principal


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route needs; as a dependency it returns the caller who may.

    With `here` it is work of this process: its channels, sources and settings are one tenant's, so that it is
    done for that tenant only.
    """

    permission: Permission
    here: bool = False

    async def __call__(self, request: Request, context: Opened) -> Caller:
        """Return the caller; raises UnauthenticatedError, ForbiddenError and NotServedHereError."""
        app = context.app
        actor = actor_of(request)
        principal = actor.principal
        try:
            scope = principal.scope(self.permission)
            if self.here:
                principal.check_served(app.tenant_id)
                scope = Scope.of_tenant(app.tenant_id)
        except (ForbiddenError, NotServedHereError) as refusal:
            if principal.kind is PrincipalKind.ANONYMOUS:
                raise UnauthenticatedError(UnauthenticatedError.example) from refusal
            if request.method not in READING:
                own = app.store.seen_by(actor, Scope.of_tenant(principal.tenant_id))
                await own.audit.note(self.permission, request.url.path)
            raise
        return Caller(actor=actor, scope=scope, app=replace(app, store=app.store.seen_by(actor, scope)))


def principal_of(request: Request) -> Principal:
    """Return who makes a request, whatever they may do."""
    principal = request.state.principal
    if not isinstance(principal, Principal):
        raise TypeError("every request has a principal before it is routed")
    return principal


def actor_of(request: Request) -> Actor:
    """Return who makes a request, from where."""
    client = request.client
    return Actor(
        principal=principal_of(request),
        address=client.host if client else None,
        request_id=getattr(request.state, "request_id", None),
    )


async def not_here_if_seen(
    caller: Caller, absent: RefusedError, *, run_id: str = "", alert_id: str = ""
) -> None:
    """Say of what is absent for this process, and can be seen by the caller, that it is not served here.

    Raises NotServedHereError, or `absent`. Only who sees every tenant can be in that place.
    """
    principal = caller.principal
    permission = Permission.READ_RUNS if run_id else Permission.READ_ALERTS
    seen = principal.scope(permission) if principal.reach(permission) else caller.scope
    if seen == caller.scope or seen.tenant_id is not None:
        raise absent
    history = caller.app.store.seen_by(caller.actor, seen).history
    await (history.get_run(run_id) if run_id else history.get_alert(alert_id))
    raise NotServedHereError(NotServedHereError.example)
