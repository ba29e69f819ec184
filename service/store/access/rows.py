"""What tenants, organisations and users have in common: they are looked up, listed, and changed in place."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from service.domain.errors import RefusedError
from service.domain.run import Page
from service.store.part import cleaned

T = TypeVar("T")


def row_of(
    connection: sa.Connection,
    table: sa.Table,
    is_seen: sa.ColumnElement[bool],
    row_id: str,
    absent: type[RefusedError],
) -> dict[str, Any]:
    """Return a row by its id; raises `absent` alike where there is none and where it is not seen."""
    found = connection.execute(sa.select(table).where(is_seen, table.c.id == cleaned(row_id))).mappings()
    row = found.one_or_none()
    if row is None:
        raise absent(absent.example)
    return dict(row)


def page_of(
    connection: sa.Connection,
    table: sa.Table,
    is_seen: sa.ColumnElement[bool],
    made: Callable[[dict[str, Any]], T],
    *,
    limit: int,
    cursor: str | None,
) -> Page[T]:
    """Return rows by id; `cursor` is the id of the last one seen."""
    query = sa.select(table).where(is_seen).order_by(table.c.id).limit(limit + 1)
    if cursor is not None:
        query = query.where(table.c.id > cleaned(cursor))
    rows = [dict(row) for row in connection.execute(query).mappings()]
    more = rows[limit - 1]["id"] if len(rows) > limit else None
    return Page(items=tuple(made(row) for row in rows[:limit]), next_cursor=more)


def update_row(
    connection: sa.Connection, table: sa.Table, row: dict[str, Any], changes: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Change a row in place, and return it as it is now."""
    values = {name: cleaned(value) if isinstance(value, str) else value for name, value in changes.items()}
    values["updated_at"] = now
    connection.execute(table.update().where(table.c.id == row["id"]).values(values))
    return row | values
