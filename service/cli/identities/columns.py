"""Columns: a list for a person, that grep and cut can read as well."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

from service.telemetry.terminal import harmless


def print_columns(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their titles, each column as wide as its widest value."""
    lines = [titles, *([_text(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (value.ljust(width) for value, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    return "-" if value is None or value == "" else harmless(str(value))
