"""Migrations: every version of the schema, in order; `versions/` holds a step each.

After a new step, `python -m tests.support.newest_schema` writes down what new SQLite databases are made of.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


def upgrade_to_newest(connection: sa.Connection) -> None:
    """Bring the schema to the newest version inside the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
