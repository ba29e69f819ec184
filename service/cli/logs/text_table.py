"""Plain tables: columns of text for any terminal or pipe."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from service.telemetry.terminal import harmless

_LONGEST: Final = 60


def write_table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a line of names and a line for each row; numbers stand to the right."""
    listed = [list(row) for row in rows]
    cells = [list(names), *([_cell(value) for value in row] for row in listed)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [bool(listed) and isinstance(listed[0][place], int | float) for place in range(len(names))]
    for line in cells:
        padded = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, right, strict=True)
        ]
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    text = harmless(str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
