"""What tenants, organisations and users have in common: they are looked up, and changed in place."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.errors import RefusedError
from service.store.part import cleaned


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


def update_row(
    connection: sa.Connection, table: sa.Table, row: dict[str, Any], changes: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Change a row in place, and return it as it is now."""
    values = {name: cleaned(value) if isinstance(value, str) else value for name, value in changes.items()}
    values["updated_at"] = now
    connection.execute(table.update().where(table.c.id == row["id"]).values(values))
    return row | values
