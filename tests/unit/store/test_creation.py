"""Creation: what new SQLite databases are made of is what the migrations come to."""

from tests.support import newest_schema


def test_a_new_database_is_what_the_migrations_make_of_an_empty_one() -> None:
    """After a new migration: `python -m tests.support.newest_schema`."""
    assert newest_schema.migrated() == newest_schema.WRITTEN.read_text("utf-8")
