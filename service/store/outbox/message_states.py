"""Message states: what messages say of the work on their alerts, with the tenant's people by their names."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from service.domain.identity.principal import PrincipalKind
from service.domain.lifecycle.message_state import MessageState
from service.store.schema.access_tables import users

_BY: Final = ("acknowledged_by", "resolved_by")
STATE: Final = (
    *("status", "acknowledged_at", "acknowledged_by", "acknowledgment_note"),
    *("resolved_at", "resolved_by", "resolution_note", "resolution_reason"),
)
"""The columns of an alert that they are made of."""


def shown_states(
    connection: sa.Connection, tenant_id: str, rows: Mapping[str, Mapping[Any, Any]]
) -> dict[str, MessageState]:
    """Return where the work on alerts stands, by their columns; the tenant's people are named in it."""
    took = {row[column] for row in rows.values() for column in _BY if row[column]}
    names = {by: _name(connection, tenant_id, by) for by in took}
    return {
        key: MessageState.of({**row, **{column: names.get(row[column]) for column in _BY}})
        for key, row in rows.items()
    }


def _name(connection: sa.Connection, tenant_id: str, by: str) -> str:
    """Return the name of a tenant's person who took a step; of whoever else, what is written down."""
    kind, _, user_id = by.partition(":")
    if kind != PrincipalKind.USER:
        return by
    own = users.c.tenant_id == tenant_id, users.c.id == user_id
    return connection.scalar(sa.select(users.c.name).where(*own)) or by
