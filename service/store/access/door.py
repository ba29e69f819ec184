"""The door: open until there is an identity, then closed for good."""

from datetime import datetime

import sqlalchemy as sa

from service.store.part import Part, reads
from service.store.schema.access_tables import access_state


class Door(Part):
    """Whether there has ever been an identity; one mark for all tenants."""

    @reads
    def is_closed(self) -> bool:
        """Return whether everybody is asked who they are."""
        return self.connection.scalar(sa.select(access_state.c.id)) is not None

    async def close(self, *, now: datetime) -> None:
        """Ask everybody who they are, from now on: there is an identity that the database does not hold."""
        if not await self.is_closed():
            await self.database.write(lambda connection: close_for_good(connection, now))


def close_for_good(connection: sa.Connection, now: datetime) -> None:
    """Set the mark, in the transaction that makes the first identity; nothing ever takes it away."""
    if connection.scalar(sa.select(access_state.c.id)) is None:
        connection.execute(access_state.insert().values(id=1, closed_at=now))
