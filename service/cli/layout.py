"""Layout: what the tables of the command line are made of."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.telemetry.terminal import harmless

Columns: TypeAlias = Mapping[str, Callable[[Any], object]]
"""Of a table: the title of each, and what it shows of a row."""

_WIDTH_OF_A_PIPE: Final = 1_000
_LONGEST_VALUE: Final = 40
"""A name of thousands of characters would push everything else off the screen."""


def console() -> Console:
    """Return where tables are printed."""
    console = Console(highlight=False)
    # Without a terminal nobody's window is too narrow.
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_A_PIPE)


def table_of(title: str | None, columns: Columns, rows: Iterable[Any], *, wraps: bool = False) -> Table:
    """Return a table of rows; long values are cut, and nothing in them plays with the terminal."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=not wraps, overflow="ellipsis")
    for row in rows:
        values = (shown(row) for shown in columns.values())
        table.add_row(*(safe(_shortened("" if value is None else str(value))) for value in values))
    return table


def print_table(out: Console, title: str | None, columns: Columns, rows: Iterable[Any]) -> None:
    """Print a table, and leave out its last columns where the window is too narrow: no id is cut short."""
    table = table_of(title, columns, rows)
    left_out: list[str] = []
    unbounded = out.options.update(width=_WIDTH_OF_A_PIPE)
    while len(table.columns) > 1 and out.measure(table, options=unbounded).maximum > out.width:
        left_out.insert(0, str(table.columns.pop().header))
    out.print(table)
    if left_out:
        out.print(f"(not shown in a window of {out.width} columns: {', '.join(left_out)})")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def safe(text: str) -> Text:
    """Return a text that is printed as it is."""
    # A value from data may hold escape sequences, which a terminal would obey, or rich's own markup.
    return Text(harmless(text))


def moment_text(moment: datetime) -> str:
    """Return a moment of UTC."""
    # Not strftime, which leaves out the zeros of the year 1.
    return f"{moment.replace(tzinfo=None).isoformat(sep=' ', timespec='seconds')}Z"
