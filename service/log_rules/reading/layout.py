"""The layout: which columns the records of a CSV file have, with or without a header. Pure."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.domain.errors import LogUnreadableError, SchemaMismatchError
from service.log_rules.rule import LOG_COLUMNS, LogSource
from service.sources.csv_header import BOM

_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of a file by their position, and where its rows begin."""

    names: tuple[str, ...]
    header_bytes: int


def is_blank(content: bytes) -> bool:
    """Return whether there is nothing but blank lines, perhaps behind a byte order mark."""
    return not content.removeprefix(BOM).strip()


def layout_of(file: str, first: bytes, source: LogSource, needed: Sequence[str]) -> Layout:
    """Read a file's first record: a header by name, one of 0, 1, 2 …, or a row already.

    Raises SchemaMismatchError, which names every column that is missing.
    """
    if first.startswith(_UTF_16):
        raise LogUnreadableError(f"{file} is UTF-16, and only UTF-8 is read: export it again")
    mark = len(BOM) if first.startswith(BOM) else 0
    text = first[mark:].decode("utf-8", "replace").lstrip("\r\n")
    try:
        values = next(csv.reader([text]), [])
    except csv.Error as error:
        raise LogUnreadableError(f"{file} cannot be read as CSV: its first record is none") from error
    cells = [value.strip() for value in values]
    by_position = source.columns
    wanted = required(source, needed)
    missing = [name for name in wanted if name not in cells]
    if not missing:
        twice = sorted({name for name in wanted if cells.count(name) > 1})
        if twice:
            raise SchemaMismatchError(f"{file}: {', '.join(twice)}: more than one column is called so")
        # A column that nobody reads may have any name, also that of another one.
        names = tuple(name if name in wanted else f"\x00{place}" for place, name in enumerate(cells))
        return Layout(names=names, header_bytes=len(first))
    if not by_position or _is_header(cells, by_position):
        hint = "" if by_position else " (for files without a header, name the columns in source.columns)"
        header = ", ".join(cells)[:500] or "empty"
        raise SchemaMismatchError(f"{file}: missing {', '.join(missing)}; its header is {header}{hint}")
    missing = [name for name in wanted if name not in by_position]
    if missing:
        raise SchemaMismatchError(f"{file}: source.columns does not name {', '.join(missing)}")
    if len(cells) != len(by_position):
        raise SchemaMismatchError(
            f"{file}: its first record has {len(cells)} columns, and source.columns names {len(by_position)}"
            f"; a header would name {', '.join(wanted)}"
        )
    is_numbered = cells == [str(number) for number in range(len(cells))]
    return Layout(names=by_position, header_bytes=len(first) if is_numbered else mark)


def _is_header(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether most cells name columns: read by position, such a file might quietly match nothing."""
    known = {name.casefold() for name in names}
    return 2 * sum(cell.casefold() in known for cell in cells) > len(cells)


def required(source: LogSource, needed: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that a file must have."""
    every = (source.columns or LOG_COLUMNS) if source.all_required else ()
    return tuple(dict.fromkeys((*needed, *every)))
