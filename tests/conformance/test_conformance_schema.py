"""The schema: created, upgraded, compared, and refused when it is newer."""

import shutil
from pathlib import Path

import alembic.autogenerate
import alembic.config
import alembic.migration
import alembic.script
import pytest
import sqlalchemy as sa

from service.domain.errors import DatabaseSchemaNewerError
from service.store.schema import migrations
from service.store.schema import tables as schema
from service.store.schema.every_table import metadata
from service.store.store import open_store, open_store_to_read
from tests.support.databases import Backend, open_at_once
from tests.support.given import Given

NEXT = f"{int(schema.NEWEST_REVISION) + 1:04}"
NEXT_STEP = f'''
"""A step of the future, for the test of upgrading."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{schema.NEWEST_REVISION}"


def upgrade() -> None:
    op.add_column("runs", sa.Column("colour", sa.Text))
'''


def _is_file(url: str) -> bool:
    return Path(url.removeprefix("sqlite:///")).exists()


async def test_the_migrations_lead_to_the_schema_that_the_verbs_know(given: Given) -> None:
    """Nothing is left to migrate between what the steps build and what the code declares."""

    def differences(connection: sa.Connection) -> list[object]:
        context = alembic.migration.MigrationContext.configure(
            connection, opts={"compare_server_default": True}
        )
        return list(alembic.autogenerate.compare_metadata(context, metadata))

    assert await given.store._database.read(differences) == []


def test_the_newest_step_is_the_one_that_the_code_knows() -> None:
    """A new step without its number in the schema (or the reverse) does not pass."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert alembic.script.ScriptDirectory.from_config(config).get_heads() == [schema.NEWEST_REVISION]


async def test_opening_again_changes_nothing(backend: Backend) -> None:
    """An empty database is created at the first opening and found up to date at the next."""
    url = backend.new(empty=True)
    for _ in range(2):
        async with open_store(url) as store:
            assert await store.health() == "ok"
            (found,) = await Given(store).sql("SELECT version_num FROM alembic_version")
            assert found["version_num"] == schema.NEWEST_REVISION


async def test_a_database_without_a_schema_reads_as_empty(backend: Backend) -> None:
    """Whoever only reads makes no tables in it."""
    url = backend.new(empty=True)
    for _ in range(2):
        async with open_store_to_read(url) as store:
            page = await store.history.list_runs(limit=5, cursor=None, period=None, status=None)
            assert (page.items, page.next_cursor) == ((), None)
            assert await store.recording.standings("risk_alert:2026-01-01", "file:///x.parquet") is not None
            with pytest.raises(TypeError, match="opened to be read"):
                await store.health()
    if backend.name == "sqlite":
        assert not _is_file(url)


async def test_reading_needs_no_right_to_write(database_url: str) -> None:
    """Whoever may only read a database can list its runs."""
    async with open_store(database_url) as store:
        given = Given(store)
        await given.a_run("r1")
        if database_url.startswith("postgresql"):
            await given.sql("CREATE ROLE reader LOGIN")
            await given.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    if database_url.startswith("postgresql"):
        database_url = database_url.replace("postgres:", "reader:", 1)
    else:
        database_url = database_url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    async with open_store_to_read(database_url) as store:
        assert (await store.history.get_run("r1")).run_id == "r1"


async def test_a_newer_schema_is_refused(database_url: str) -> None:
    """A binary that was rolled back does not write into what it does not know."""
    async with open_store(database_url) as store:
        await Given(store).sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseSchemaNewerError, match="version 9999, newer than"):
        async with open_store(database_url):
            pass


async def test_an_older_schema_is_upgraded_with_its_data(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer binary takes the missing steps, and what was recorded before is still there."""
    async with open_store(database_url) as store:
        await Given(store).a_run("r1")
    steps = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, steps, ignore=shutil.ignore_patterns("__pycache__"))
    (steps / "versions" / f"v{NEXT}_next.py").write_text(NEXT_STEP)
    monkeypatch.setattr(migrations, "__file__", str(steps / "__init__.py"))
    monkeypatch.setattr(schema, "NEWEST_REVISION", NEXT)
    async with open_store(database_url) as store:
        rows = await Given(store).sql("SELECT run_id, colour FROM runs")
        assert [tuple(row.values()) for row in rows] == [("r1", None)]
    monkeypatch.undo()
    with pytest.raises(DatabaseSchemaNewerError):
        async with open_store(database_url):
            pass


def test_processes_that_open_a_fresh_database_at_once_all_succeed(backend: Backend) -> None:
    """Of several processes that start together one creates the schema and none fails."""
    open_at_once(backend.new(empty=True))
