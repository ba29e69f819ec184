"""A part of the store: it sees and writes the rows of one tenant."""

from service.store.database.database import Database


class Part:
    """Verbs over one tenant's rows; `tenant_id` is in every question and on every row."""

    def __init__(self, database: Database, tenant_id: str) -> None:
        self._database = database
        self._tenant_id = tenant_id
