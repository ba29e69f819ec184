"""Copying a ledger from any database to any other: all of it, as it was, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from service.domain.errors import DatabaseSchemaNewerError, DatabaseUnusableError
from service.domain.tenant import DEFAULT_TENANT
from service.store.schema import copying
from service.store.schema import tables as schema
from service.store.schema.copying import copy_ledger
from service.store.store import open_store
from tests.support.alerts import MONTH
from tests.support.databases import Backend
from tests.support.given import NOW, Given, routed, scope_of

SOURCES: Final = ("sqlite", "postgresql")
FIRST_MOMENT: Final = datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
LAST_MOMENT: Final = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
AWKWARD: Final = (
    "B",
    "a",
    "_",
    "ä",
    "Z",
    "z",
    "ab",
    "a b",
    "🚩",
    "\u202e",
    "\r\n",
    "'\";--",
    "e\u0301",
    "x" * 4000,
)
"""Texts that no two locales put into the same order."""


@pytest.fixture(params=SOURCES)
def target(request: pytest.FixtureRequest, backend: Backend) -> Backend:
    """Return a backend to copy to: with `backend`, every pair of the two."""
    server = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None
    return replace(backend, name=request.param, server=server)


@pytest.fixture
def other(request: pytest.FixtureRequest, backend: Backend) -> Backend:
    """Return the other backend than `backend`: for what a pair of the same could not say anything new of."""
    if backend.name == "postgresql":
        return replace(backend, name="sqlite", server=None)
    return replace(backend, name="postgresql", server=request.getfixturevalue("postgresql_server"))


@pytest.fixture
def source(backend: Backend) -> str:
    """Return a database to copy from in which nothing has happened yet."""
    return backend.new()


@pytest.fixture
def copy(other: Backend) -> str:
    """Return one to copy to."""
    return other.new()


async def _insert(url: str, rows: Mapping[sa.Table, Sequence[Mapping[str, Any]]]) -> None:
    def work(connection: sa.Connection) -> None:
        for table, of_table in rows.items():
            for row in of_table:
                connection.execute(table.insert().values(row))

    async with open_store(url) as store:
        await store._database.write(work)


async def _contents(url: str) -> dict[str, set[tuple[Any, ...]]]:
    """Return every row of every table, however they are ordered."""

    def work(connection: sa.Connection) -> dict[str, set[tuple[Any, ...]]]:
        return {
            table.name: {tuple(map(_hashable, row)) for row in connection.execute(sa.select(table))}
            for table in copying.LEDGER
        }

    async with open_store(url) as store:
        return await store._database.read(work)


async def _is_empty(url: str) -> bool:
    """Return whether there is nothing but the default tenant, which comes with the schema."""
    found = {name: rows for name, rows in (await _contents(url)).items() if rows}
    return [*found] == ["tenants"] and len(found["tenants"]) == 1


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return tuple(sorted(value.items(), key=str)) if isinstance(value, dict) else value


def _run(run_id: str, **values: Any) -> dict[str, Any]:
    plain = {
        "run_id": run_id,
        "tenant_id": DEFAULT_TENANT,
        "kind": "account_risk",
        "scope": scope_of(MONTH),
        "source_uri": "file:///january.parquet",
        "period": str(MONTH),
        "dry_run": False,
        "status": "succeeded",
        "started_at": NOW,
        "expires_at": 0.1 + 0.2,
    }
    return plain | values


def _filled(table: sa.Table) -> list[dict[str, Any]]:
    """Return rows with what two databases could hold differently, by the types of a table's columns."""
    # Of one table more than goes through at once.
    count = 2 * copying._BATCH + 1 if table is schema.run_outcomes else len(AWKWARD)
    rows = []
    for number in range(count):
        text = AWKWARD[number % len(AWKWARD)]
        double = (0.1 + 0.2, 1e300, -0.0, 1 / 3)[number % 4]
        facts = {text: text, "arr": (None, 2**63 - 1, -(2**63), 0)[number % 4], "share": double}
        of_type = {
            sa.Text: text,
            sa.String: f"{text[:8]}{number}",
            sa.Boolean: bool(number % 2),
            sa.BigInteger: 2**63 - 1 - number,
            sa.Integer: 2**31 - 1 - number,
            sa.Double: double,
            sa.LargeBinary: bytes(range(256)) * (number % 2),
            schema.PlainValues: facts if number % 2 else [text, None, double],
            schema.UtcTimestamp: (FIRST_MOMENT, LAST_MOMENT, NOW.astimezone())[number % 3],
        }
        row = {
            column.name: next(value for kind, value in of_type.items() if isinstance(column.type, kind))
            for column in table.columns
            if number % 2 or not column.nullable
        }
        rows.append(row | ({"tenant_id": DEFAULT_TENANT} if "tenant_id" in row else {}))
    return rows


async def test_a_ledger_arrives_as_it_was(source: str, target: Backend) -> None:
    """Every row of every table reads the same afterwards, and is counted; one can work on with the copy."""
    copy = target.new(empty=True)
    rows = {table: _filled(table) for table in copying.LEDGER if table is not schema.health_probe}
    await _insert(source, rows)
    counts = await copy_ledger(source, copy)
    of_schema = {"tenants": 1, "health_probe": 0}
    assert counts == of_schema | {
        table.name: len(of_table) + of_schema.get(table.name, 0) for table, of_table in rows.items()
    }
    assert await _contents(copy) == await _contents(source)
    async with open_store(copy) as store:
        assert await store.health() == "ok"
        await Given(store).a_lease("r3", month=MONTH.minus(1))


async def test_what_was_sent_is_not_sent_again_after_a_copy(source: str, copy: str) -> None:
    """A replay on the copy goes on where the last run ended; a service may have started there before."""
    async with open_store(source) as store:
        given = Given(store)
        lease, entries = await given.a_recorded("r1", routed("a", "b"))
        await given.claimed(lease, entries[:1])
        await given.finished("r1", alerts=2)
    await copy_ledger(source, copy)
    async with open_store(copy) as store:
        given = Given(store)
        lease = await given.a_lease("r2")
        actions = await given.recorded(lease, routed("a", "b"))
        assert [taken.action for taken in actions] == ["hold", "send"]


async def test_a_target_with_rows_is_refused(source: str, copy: str) -> None:
    """What is there already is neither mixed with nor overwritten, not by a second copy either."""
    await _insert(source, {schema.runs: [_run("r1")]})
    await copy_ledger(source, copy)
    before = await _contents(copy)
    with pytest.raises(DatabaseUnusableError, match=r"^TO is not empty: runs has rows$"):
        await copy_ledger(source, copy)
    assert await _contents(copy) == before


async def test_a_source_at_work_is_refused(source: str, copy: str) -> None:
    """A run that lives would go on writing where nobody looks any more."""
    async with open_store(source) as store:
        await Given(store).a_run("r1")
    with pytest.raises(DatabaseUnusableError, match=r"^FROM has a run at work \(r1\)"):
        await copy_ledger(source, copy)
    assert await _is_empty(copy)


async def test_a_source_without_a_ledger_is_refused(backend: Backend, copy: str) -> None:
    """An empty database is most likely the wrong one."""
    source = backend.new(empty=True)
    if backend.name == "sqlite":
        Path(source.removeprefix("sqlite:///")).touch()  # noqa: ASYNC240  # an empty file takes no time
    with pytest.raises(DatabaseUnusableError, match=r"^FROM holds no ledger$"):
        await copy_ledger(source, copy)


@pytest.mark.parametrize(
    ("version", "error", "says"),
    [("0000", DatabaseUnusableError, "older version"), ("9999", DatabaseSchemaNewerError, "newer than")],
)
async def test_a_source_of_another_version_is_refused(
    source: str, copy: str, version: str, error: type[Exception], says: str
) -> None:
    """Only rows whose meaning this version knows are copied."""
    async with open_store(source) as store:
        await Given(store).sql("UPDATE alembic_version SET version_num = :v", v=version)
    with pytest.raises(error, match=says):
        await copy_ledger(source, copy)


async def test_a_target_of_a_newer_version_is_refused(source: str, copy: str) -> None:
    """Rows are not put where another version's are expected."""
    async with open_store(copy) as store:
        await Given(store).sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseSchemaNewerError):
        await copy_ledger(source, copy)


SPOILERS: Final = {
    "sqlite": {
        "reads otherwise in TO: source_uri": "UPDATE runs SET source_uri = 'other' WHERE run_id = 'r5'",
        "has fewer rows in TO": "DELETE FROM runs WHERE run_id = 'r9'",
    },
    "postgresql": {
        "reads otherwise in TO: source_uri": "IF NEW.run_id = 'r5' THEN NEW.source_uri := 'other'; END IF",
        "has fewer rows in TO": "IF NEW.run_id = 'r9' THEN RETURN NULL; END IF",
    },
}
"""What a trigger does to the rows that come in, by what is said of it."""


@pytest.mark.parametrize("says", ["reads otherwise in TO: source_uri", "has fewer rows in TO"])
async def test_a_difference_undoes_the_copy(source: str, other: Backend, copy: str, says: str) -> None:
    """A target that keeps something else than it was given is noticed, and left empty."""
    await _insert(source, {schema.runs: [_run(f"r{number}") for number in range(10)]})
    spoil = SPOILERS[other.name][says]
    async with open_store(copy) as store:
        given = Given(store)
        if other.name == "sqlite":
            await given.sql(f"CREATE TRIGGER spoil AFTER INSERT ON runs BEGIN {spoil}; END")
        else:
            body = f"$$ BEGIN {spoil}; RETURN NEW; END $$"
            await given.sql(f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS {body}")
            await given.sql(
                "CREATE TRIGGER spoil BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION spoil()"
            )
    with pytest.raises(DatabaseUnusableError, match=says):
        await copy_ledger(source, copy)
    assert await _is_empty(copy)


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        ({"error_detail": "NUL \x00 in the middle"}, "a text holds NUL"),
        ({"run_id": "r" * 41}, "a text is too long"),
        ({"epoch": 2**31}, "TO does not take rows 1 to 3 of runs"),
    ],
    ids=["nul", "long", "large"],
)
async def test_what_only_sqlite_can_hold_is_said_and_not_mended(
    backend: Backend, other: Backend, copy: str, spoilt: dict[str, Any], says: str
) -> None:
    """PostgreSQL refuses such a row, the error says which table it is in, and nothing stays behind."""
    source = replace(backend, server=None).new()
    await _insert(source, {schema.runs: [_run("r1"), _run("r2") | spoilt, _run("r3")]})
    if other.name == "sqlite":
        assert (await copy_ledger(source, copy))["runs"] == 3
        assert await _contents(copy) == await _contents(source)
        return
    with pytest.raises(DatabaseUnusableError, match=r"^TO does not take rows 1 to 3 of runs") as unusable:
        await copy_ledger(source, copy)
    assert says in str(unusable.value)
    assert await _is_empty(copy)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "FROM is not a database URL"),
        ("mysql://canary:canary@host/db", "FROM: mysql is not supported"),
        ("sqlite://", "FROM needs a file"),
        ("sqlite:////nowhere/canary.db", "FROM names a file that is not there"),
        ("postgresql://canary:canary@127.0.0.1:1/canary", "FROM: the database cannot be used: its server"),
    ],
)
async def test_what_cannot_be_copied_from_is_reported_without_its_address(
    tmp_path: Path, url: str, says: str
) -> None:
    """The error says which of the two it is, and quotes nothing of a URL."""
    target = tmp_path / "target.db"
    with pytest.raises(DatabaseUnusableError) as unusable:
        await copy_ledger(url, f"sqlite:///{target}")
    assert str(unusable.value).startswith(says)
    assert "canary" not in str(unusable.value)
    assert not target.exists()
