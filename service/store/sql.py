"""Named SQL: the text of a module's statements stands in a file of the same name beside it.

A statement begins with `-- name: NAME`; where the dialects differ there is one of each, `-- name: NAME
(sqlite)` and `-- name: NAME (postgresql)`. In its text

- `{clock}` is the database's clock;
- `{rows}` is a batch, given as the one parameter `:rows` (see `json_rows`) and known as `r`; a line
  `-- rows: MEMBER TYPE, …` above says which members it has, and their PostgreSQL types;
- `:now` and `:minute_ago` are timestamps.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.store.database.database import CLOCK_SQL
from service.store.schema.tables import UtcTimestamp

_NAME: Final = re.compile(r"^-- name: (\w+)(?: \((sqlite|postgresql)\))?$", re.MULTILINE)
_ROWS: Final = re.compile(r"^-- rows: (.+)$", re.MULTILINE)
_COMMENT: Final = re.compile(r"^--.*\n", re.MULTILINE)
_TIMESTAMP: Final = "timestamptz"
_MOMENTS: Final = ("now", "minute_ago")


class NamedSql:
    """The statements of one module."""

    def __init__(self, module: str) -> None:
        """Load those of a module, given by its `__name__`."""
        package, _, name = module.rpartition(".")
        text = files(package).joinpath(f"{name}.sql").read_text("utf-8")
        self._statements = dict(_statements(text))

    def execute(
        self, connection: sa.Connection, name: str, values: Mapping[str, Any] | None = None
    ) -> sa.CursorResult[Any]:
        """Execute the statement of this name, as the connection's dialect spells it."""
        return connection.execute(self._statements[name, connection.dialect.name], values)


def json_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a whole batch as one parameter, so that one statement, and one step of the driver, does it all.

    SQLite's driver gives the interpreter away for every step, and has to wait for the event loop to get it
    back: beside a busy loop that costs more than the step. Measured: a tenth more alerts a second than row by
    row. Timestamps are aware, and of whatever zone.
    """
    return orjson.dumps(list(rows)).decode()


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows, all of the same columns.

    Into SQLite as tuples, written column by column: what SQLAlchemy does for each row costs as much again as
    the insertion itself.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(table.insert(), [dict(row) for row in rows])
        return
    names = [*rows[0]]
    columns = [
        _as_written(table.c[name].type, [row[name] for row in rows], connection.dialect) for name in names
    ]
    places = ", ".join("?" * len(names))
    text = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608  # our own names
    connection.exec_driver_sql(text, list(zip(*columns, strict=True)))


def _as_written(kind: sa.types.TypeEngine[Any], values: list[Any], dialect: sa.Dialect) -> list[Any]:
    """Return a column's values as the driver takes them."""
    write = kind.dialect_impl(dialect).bind_processor(dialect)
    if write is None:
        return values
    first = values[0]
    if all(value is first for value in values):
        return [write(first)] * len(values)
    return [write(value) for value in values]


def _statements(text: str) -> Iterator[tuple[tuple[str, str], sa.TextClause]]:
    _, *parts = _NAME.split(text)
    for name, only, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        for dialect in (only,) if only else CLOCK_SQL:
            yield (name, dialect), _statement(body, dialect)


def _statement(body: str, dialect: str) -> sa.TextClause:
    members = _ROWS.search(body)
    text = _COMMENT.sub("", body).strip().removesuffix(";").replace("{clock}", CLOCK_SQL[dialect])
    if members is not None:
        text = text.replace("{rows}", _rows(members[1], dialect))
    statement = sa.text(text)
    moments = [sa.bindparam(name, type_=UtcTimestamp) for name in _MOMENTS if f":{name}" in text]
    return statement.bindparams(*moments)


def _rows(members: str, dialect: str) -> str:
    if dialect == "postgresql":
        return f"json_to_recordset(CAST(:rows AS json)) AS r({members})"
    columns = (_sqlite_member(*member.split(maxsplit=1)) for member in members.split(", "))
    return f"(SELECT {', '.join(columns)} FROM json_each(:rows)) AS r"  # noqa: S608  # our own names


def _sqlite_member(name: str, kind: str) -> str:
    value = f"value ->> '{name}'"
    return f"substr({value}, 1, 26) AS {name}" if kind == _TIMESTAMP else f"{value} AS {name}"
