"""JSON rows: a whole batch as one parameter, so that one statement, and one step of the driver, does it all.

SQLite's driver gives the interpreter away for every step, and has to wait for the event loop to get it back:
beside a busy loop that costs more than the step. Measured: a tenth more alerts a second than row by row.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.store.database.database import CLOCK_SQL

_TIMESTAMP: Final = "timestamptz"


def over_rows(statement: str, columns: Mapping[str, str]) -> Mapping[str, sa.TextClause]:
    """Return `statement`, per dialect, with the rows of the parameter `:rows` in the place of `{rows}`.

    `columns` says which members the rows have, and their PostgreSQL types. `{clock}` is the database's.
    """
    members = (
        f"substr(value ->> '{name}', 1, 26) AS {name}"
        if kind == _TIMESTAMP
        else f"value ->> '{name}' AS {name}"
        for name, kind in columns.items()
    )
    record = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    rows = {
        "sqlite": f"(SELECT {', '.join(members)} FROM json_each(:rows)) AS r",  # noqa: S608  # our names
        "postgresql": f"json_to_recordset(CAST(:rows AS json)) AS r({record})",
    }
    return {
        dialect: sa.text(statement.replace("{rows}", text).replace("{clock}", CLOCK_SQL[dialect]))
        for dialect, text in rows.items()
    }


def json_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the parameter; timestamps in it are aware, and of whatever zone."""
    return orjson.dumps(list(rows)).decode()
