"""Alerts as lines of CSV: a column for each member of the JSON answer, and no cell is a formula."""

import csv
import io
from collections.abc import Iterable
from typing import Any, Final

import orjson

from service.api.schemas.alert import RunAlertOut

FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a text begins that a spreadsheet would calculate (owasp.org/www-community/attacks/CSV_Injection)."""


def csv_header() -> str:
    """Return the line that names the columns."""
    return csv_lines([RunAlertOut.model_fields])


def csv_rows(alerts: Iterable[RunAlertOut]) -> str:
    """Return alerts as lines of RFC 4180, a column for each member of the JSON answer."""
    return csv_lines(alert.model_dump(mode="json").values() for alert in alerts)


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"'{text}" if text.startswith(FORMULAS) else text


def csv_lines(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as lines of RFC 4180; no cell is a formula."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()
