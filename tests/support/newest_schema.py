"""The newest schema of SQLite, as the migrations make it.

`python -m tests.support.newest_schema` writes it down after a new migration: new databases are made of it.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import sqlalchemy as sa

from service.store.schema import creation
from service.store.schema.migrations import upgrade_to_newest

if TYPE_CHECKING:
    import sqlite3

WRITTEN: Final = Path(creation.__file__).with_suffix(".sql")
_HEAD: Final = """\
-- What the migrations make of an empty SQLite database; written by `python -m tests.support.newest_schema`.
"""
_MOMENT: Final = re.compile(r"'\d{4}-\d\d-\d\d [\d:.]+'")
_NOW: Final = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


def migrated() -> str:
    """Return the statements that make an empty database what the migrations make of it."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade_to_newest(connection)
    with engine.connect() as connection:
        dump = "\n".join(cast("sqlite3.Connection", connection.connection.driver_connection).iterdump())
    engine.dispose()
    statements = dump.removeprefix("BEGIN TRANSACTION;\n").removesuffix(";\nCOMMIT;")
    lines = _MOMENT.sub(_NOW, statements).splitlines()
    return _HEAD + "\n".join(line.rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    WRITTEN.write_text(migrated(), encoding="utf-8")
