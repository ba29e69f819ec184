"""Creation: what new SQLite databases are made of is what the migrations come to."""

import re
import subprocess
import sys

from tests.support import newest_schema


def test_a_new_database_is_what_the_migrations_make_of_an_empty_one() -> None:
    """After a new migration: `python -m tests.support.newest_schema`."""
    assert newest_schema.migrated() == newest_schema.WRITTEN.read_text("utf-8")


def test_what_goes_through_every_table_misses_none() -> None:
    """A copy of a ledger, or the rights of a role, would silently leave one out: each part loads its own."""
    program = "from service.store.schema.copying import LEDGER; print(*(table.name for table in LEDGER))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    created = set(re.findall(r"CREATE TABLE (\w+)", newest_schema.WRITTEN.read_text("utf-8")))
    assert set(done.stdout.split()) == created - {"alembic_version", "last_commits"}
