"""A part of the store: it sees and writes the rows of one scope, for one actor."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from copy import copy
from functools import cached_property, wraps
from importlib import import_module
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import sqlalchemy as sa

from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.run import Page
from service.store.database.database import Database

T = TypeVar("T")
Params = ParamSpec("Params")
PartT = TypeVar("PartT", bound="Part")
Work = Callable[Concatenate[PartT, Params], T]
Verb = Callable[Concatenate[PartT, Params], Coroutine[Any, Any, T]]


def reads(work: Work[PartT, Params, T]) -> Verb[PartT, Params, T]:
    """Make a verb of work over `self.connection`: awaited, it is a transaction, see `Database.read`."""

    @wraps(work)
    async def verb(part: PartT, /, *args: Params.args, **kwargs: Params.kwargs) -> T:
        return await part.database.read(lambda connection: work(part.within(connection), *args, **kwargs))

    return verb


def writes(work: Work[PartT, Params, T]) -> Verb[PartT, Params, T]:
    """Make a verb of work over `self.connection`: awaited, it is a transaction, see `Database.write`."""

    @wraps(work)
    async def verb(part: PartT, /, *args: Params.args, **kwargs: Params.kwargs) -> T:
        return await part.database.write(lambda connection: work(part.within(connection), *args, **kwargs))

    return verb


def cleaned(text: str) -> str:
    """Return a text without NUL, which no id holds, and which PostgreSQL takes nowhere."""
    return text.replace("\0", "\ufffd")


def cleaned_all(texts: Sequence[str]) -> Sequence[str]:
    """Return texts without NUL; nearly always as they are."""
    return [cleaned(text) for text in texts] if "\0" in "".join(texts) else texts


def matching(values: Mapping[sa.Column[Any], object]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that columns hold these values; what is None may be anything."""
    return [
        column == (cleaned(value) if isinstance(value, str) else value)
        for column, value in values.items()
        if value is not None
    ]


class Part:
    """Verbs over the rows of a scope, which is in every question; there is no part without one."""

    connection: sa.Connection
    """Of the transaction that a verb is; outside of one there is none."""

    def __init__(self, database: Database, scope: Scope, actor: Actor) -> None:
        self.database = database.within(scope)
        self._scope = scope
        self._actor = actor

    def within(self, connection: sa.Connection) -> Self:
        """Return the same part inside a transaction."""
        part = copy(self)
        part.connection = connection
        return part

    @property
    def _tenant_id(self) -> str:
        """Whose rows are written; raises ValueError in the scope of all."""
        return self._scope.one_tenant

    def _page(
        self,
        query: sa.Select[Any],
        made: Callable[[Any], T],
        limit: int,
        cursor_at: Callable[[Any], str],
    ) -> Page[T]:
        """Return the first rows of a query, each as it is `made`."""
        rows = self.connection.execute(query.limit(limit + 1)).mappings().fetchall()
        more = cursor_at(rows[limit - 1]) if len(rows) > limit else None
        return Page(items=tuple(made(row) for row in rows[:limit]), next_cursor=more)

    def _page_by(
        self,
        column: sa.Column[Any],
        query: sa.Select[Any],
        made: Callable[[Any], T],
        *,
        limit: int,
        cursor: str | int | None,
        newest_first: bool = False,
    ) -> Page[T]:
        """Return rows in the order of a column; the cursor is its value in the last one seen, as it is."""
        if cursor is not None:
            last = cleaned(cursor) if isinstance(cursor, str) else cursor
            query = query.where(column < last if newest_first else column > last)
        query = query.order_by(column.desc() if newest_first else column)
        return self._page(query, made, limit, lambda row: str(row[column]))

    def _sees(
        self,
        table: sa.FromClause,
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


class Late(cached_property[T]):
    """A part of the store, loaded and made when it is first asked for: a start, or a preview, needs few."""

    def __init__(self, place: str) -> None:
        """Remember the place: `module:Class`, in this package."""
        module, _, name = place.partition(":")

        def made(whole: "HasParts") -> T:
            kind = getattr(import_module(f"service.store.{module}"), name)
            return kind(*whole.of)  # type: ignore[no-any-return]  # of the type that the declaration names

        super().__init__(made)


class HasParts:
    """What has late parts, all over the same rows and for the same actor."""

    def __init__(self, database: Database, scope: Scope, actor: Actor) -> None:
        self.of = database, scope, actor

    def load(self) -> None:
        """Load every part; from any thread."""
        for name, part in vars(type(self)).items():
            if isinstance(part, Late) and isinstance(made := getattr(self, name), HasParts):
                made.load()
