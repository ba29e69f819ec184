"""Workbooks: one sheet of an XLSX file, after a look at whether it would inflate beyond all measure.

XLSX is XML in a ZIP archive. A few KB can inflate to GB (a "zip bomb"), and a sheet with one cell in its last
corner asks the library for all cells before it; both are looked for before the library reads anything.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Final

from python_calamine import CalamineError, CalamineWorkbook

MOST_INFLATED: Final = 512 << 20
"""Bytes of all parts together; a million rows of twelve columns have some 400 MB."""
MOST_CELLS: Final = 20_000_000
_CHUNK: Final = 1 << 18
_CELL: Final = re.compile(rb'\sr="([A-Z]{1,3})(\d{1,7})"')
_UNSAVED: Final = re.compile(
    rb'<c r="([A-Z]{1,3}\d{1,7})"(?: s="\d+")?><f(?: [^<>]*)?(?:/>|>[^<]*</f>)(?:<v ?/>|<v></v>)?</c>'
)
"""A cell that has a formula and no value; one whose value is an empty text says that it is text."""
_OVERLAP: Final = 1 << 14
"""The longest formula has 8,192 characters."""
_LOCAL_HEADER: Final = 30


class BadWorkbookError(ValueError):
    """The file is no workbook that can be read."""


def open_sheet(content: bytes, name: str | None) -> tuple[list[str], Iterator[tuple[int, Sequence[Any]]]]:
    """Return the header of a sheet (by default the first) and its numbered rows; raises BadWorkbookError.

    The header is the first row that is not empty. Cells are text or floats; formulas count as the value that
    was saved with them.
    """
    check_workbook(content)
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(content))
        names = book.sheet_names
        if not names:
            raise BadWorkbookError("it has no sheets")
        if name is not None and name not in names:
            raise BadWorkbookError(f"there is no sheet {name!r}; it has {', '.join(names)[:300]}")
        rows = book.get_sheet_by_name(name if name is not None else names[0]).iter_rows()
    except CalamineError as problem:
        raise BadWorkbookError(f"it is no workbook: {problem}") from problem
    numbered = enumerate(rows, start=1)
    header: list[str] = []
    for _, row in numbered:
        header = [str(cell).strip() for cell in row]
        if any(header):
            break
    while header and not header[-1]:
        header.pop()
    if not header:
        raise BadWorkbookError("the sheet is empty")
    twice = sorted({each for each in header if header.count(each) > 1})
    if twice:
        raise BadWorkbookError(f"{', '.join(twice) or '(no name)'}: more than one column is called so")
    return header, ((number, [_plain(cell) for cell in row]) for number, row in numbered)


def _plain(cell: Any) -> str | float:
    if isinstance(cell, bool):
        return str(cell)
    return float(cell) if isinstance(cell, int | float) else str(cell)


def check_workbook(content: bytes, *, most_inflated: int = MOST_INFLATED) -> int:
    """Inflate every part once, in pieces, counting bytes, and look for the last corner of each sheet.

    Returns the rows of the sheet that has most. Raises BadWorkbookError.
    """
    inflated = most_rows = 0
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as problem:
        raise BadWorkbookError(f"it is no archive: {problem}") from problem
    for part in parts:
        columns = rows = 0
        before = b""
        for piece in _inflated(content, part):
            inflated += len(piece)
            if inflated > most_inflated:
                raise BadWorkbookError(f"it inflates to more than {most_inflated >> 20} MB")
            if not part.filename.startswith("xl/worksheets/"):
                continue
            seen = before + piece
            for match in _CELL.finditer(seen):
                columns = max(columns, _column(match[1]))
                rows = max(rows, int(match[2]))
            if b"<f" in seen and (formula := _UNSAVED.search(seen)) is not None:
                raise BadWorkbookError(
                    f"{part.filename}: cell {formula[1].decode()} has a formula and no value, which "
                    "only a spreadsheet program computes: open it in one and save it"
                )
            before = piece[-_OVERLAP:]
        if columns * rows > MOST_CELLS:
            raise BadWorkbookError(
                f"{part.filename} reaches to row {rows:,} and column {columns:,}: delete what is empty there"
            )
        most_rows = max(most_rows, rows)
    return most_rows


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _inflated(content: bytes, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a part inflates to, however little its directory says that it is."""
    header = content[part.header_offset : part.header_offset + _LOCAL_HEADER]
    if len(header) < _LOCAL_HEADER:
        raise BadWorkbookError("its directory points outside of the file")
    begin = part.header_offset + _LOCAL_HEADER + int.from_bytes(header[26:28], "little")
    begin += int.from_bytes(header[28:30], "little")
    packed = content[begin : begin + part.compress_size]
    if part.compress_type == zipfile.ZIP_STORED:
        yield packed
        return
    if part.compress_type != zipfile.ZIP_DEFLATED:
        raise BadWorkbookError(f"{part.filename} is compressed in a way that XLSX does not use")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while packed and not inflate.eof:
            yield inflate.decompress(packed, _CHUNK)
            packed = inflate.unconsumed_tail
    except zlib.error as problem:
        raise BadWorkbookError(f"{part.filename} is damaged: {problem}") from problem
