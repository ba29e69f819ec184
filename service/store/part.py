"""A part of the store: it sees and writes the rows of one scope, for one actor."""

import sqlalchemy as sa

from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.store.database.database import Database


class Part:
    """Verbs over the rows of a scope, which is in every question; there is no part without one."""

    def __init__(self, database: Database, scope: Scope, actor: Actor) -> None:
        self._database = database.within(scope)
        self._scope = scope
        self._actor = actor

    @property
    def _tenant_id(self) -> str:
        """Whose rows are written; raises ValueError in the scope of all."""
        return self._scope.one_tenant

    def _sees(
        self,
        table: sa.Table,
        *,
        organization: sa.ColumnElement[str] | None = None,
        user: sa.ColumnElement[str] | None = None,
    ) -> sa.ColumnElement[bool]:
        """Return the condition under which a row of `table` is in the scope.

        `organization` and `user` are the columns that say whose it is within its tenant. A scope of an
        organisation, or of a user, sees nothing of a table that does not say so.
        """
        scope = self._scope
        if scope.of == "all":
            return sa.true()
        of_tenant: sa.ColumnElement[bool] = table.c.tenant_id == scope.tenant_id
        match scope.of:
            case "organization":
                inner = sa.false() if organization is None else organization == scope.organization_id
            case "user":
                inner = sa.false() if user is None else user == scope.user_id
            case _:
                return of_tenant
        return sa.and_(of_tenant, inner)
