"""Named SQL: the text of a module's statements stands in a file of the same name beside it.

A statement begins with `-- name: NAME`; where the dialects differ there is one of each, `-- name: NAME
(sqlite)` and `-- name: NAME (postgresql)`. In its text

- `{clock}` is the database's clock;
- `{rows}` is a batch, given as the one parameter `:rows` (see `json_rows`) and known as `r`; a line
  `-- rows: MEMBER TYPE, …` above says which members it has, and their PostgreSQL types;
- `:now` and `:minute_ago` are timestamps.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import repeat
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

Columns = Mapping[str, Sequence[Any]]
"""Rows, column by column; all columns are of one length."""


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


def rows_at(columns: Columns, places: Sequence[int]) -> Columns:
    """Return the rows at these places, in this order."""
    return {name: [values[place] for place in places] for name, values in columns.items()}


def insert_columns(
    connection: sa.Connection, table: sa.Table, columns: Columns, shared: Mapping[str, Any]
) -> None:
    """Insert many rows, given column by column; `shared` are the columns that have one value for all of them.

    SQLite's driver takes the rows as they are made, one tuple at a time: what SQLAlchemy does for each row
    costs as much again as the insertion itself, and rows that are kept are walked through by the collector.
    """
    if connection.dialect.name != "sqlite":
        rows = zip(*columns.values(), strict=True)
        connection.execute(
            table.insert(), [{**shared, **dict(zip(columns, row, strict=True))} for row in rows]
        )
        return
    count = len(next(iter(columns.values())))
    given: list[Iterable[Any]] = []
    for name, values in columns.items():
        write = _writer(table.c[name], connection)
        given.append(values if write is None else map(write, values))
    for name, value in shared.items():
        write = _writer(table.c[name], connection)
        given.append(repeat(value if write is None else write(value), count))
    places = ", ".join("?" * len(given))
    text = f"INSERT INTO {table.name} ({', '.join((*columns, *shared))}) VALUES ({places})"  # noqa: S608  # our own names
    cursor: Any = connection.connection.cursor()
    cursor.executemany(text, zip(*given, strict=True))


def _writer(column: sa.Column[Any], connection: sa.Connection) -> Callable[[Any], Any] | None:
    """Return what turns a value of a column into what the driver takes; None: it takes the value itself."""
    return column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)


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
