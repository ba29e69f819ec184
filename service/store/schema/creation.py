"""Creation: a new SQLite database gets the newest schema in one go.

To migrate an empty one through every version would load alembic first: an eighth of a service's first start.
"""

from importlib.resources import files

import sqlalchemy as sa


def create_newest(connection: sa.Connection) -> None:
    """Make of an empty SQLite database what all migrations make of it, in the caller's transaction."""
    for statement in files(__package__).joinpath("creation.sql").read_text("utf-8").split(";\n"):
        connection.exec_driver_sql(statement)
