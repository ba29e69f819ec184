"""Tables: a file's records in Arrow batches, each with the record's number."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from pyarrow import compute

from service.default_risk.errors import BadCompaniesFileError
from service.default_risk.reading.workbook import BadWorkbookError, check_workbook, open_sheet
from service.domain.errors import RiskAlertsError
from service.sources.csv_header import first_record
from service.sources.parquet.footer_validation import check_footer
from service.sources.parquet.scan import footer_of
from service.sources.parquet.text import check_dictionaries, without_views
from service.sources.pattern import FileKind
from service.sources.source import SourceFile, SourceReader

COMPANY_FILES: Final = FileKind(suffixes=(".csv", ".xlsx", ".parquet"))
BATCH_ROWS: Final = 1 << 14
PIECE_ROWS: Final = 1 << 17
"""Of a file that is read in pieces: not fewer than the rows that decide what units a file has."""
_MOST_PIECES: Final = 16
"""Of a row group, however large."""
_BLOCK: Final = 1 << 20
_LOOK: Final = 1 << 16
_MAGIC: Final = b"PAR1"
_TRAILER: Final = 8
_FIRST: Final = 2
"""The number of the first record after the header, as a spreadsheet counts."""
_EXACT: Final = 1 << 53
"""Below it every whole number is a float of its own."""
_ZIP: Final = b"PK\x03\x04"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Some records of a file."""

    numbers: Sequence[int]
    """Of each row: the first record after the header is 2, as a spreadsheet counts."""
    columns: Mapping[str, Any]
    """Arrow arrays by the header's names."""
    broken: Mapping[int, str] = field(default_factory=dict)
    """Records that are no rows, by number, and why; they are not in `numbers`."""


def read_records(
    reader: SourceReader, file: SourceFile, *, sheet: str | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[Records]:
    """Yield the records of a file, at most `batch_rows` together; raises BadCompaniesFileError."""
    found = _kind_of(reader, file)
    if sheet is not None and found != "xlsx":
        raise BadCompaniesFileError(f"{file.name} has no sheets: only XLSX has")
    with _translated(file):
        match found:
            case "parquet":
                yield from _parquet(reader, file, batch_rows)
            case "xlsx":
                yield from _xlsx(reader, sheet, batch_rows)
            case _:
                yield from _csv(reader, batch_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some records of a Parquet file, one after the other, which can be read by themselves."""

    groups: tuple[int, ...]
    """The row groups that hold them."""
    skipped: int
    """Records of these row groups that come before."""
    rows: int
    begin: int
    """Records of the file that come before."""


def pieces_of(reader: SourceReader, file: SourceFile, *, rows: int = PIECE_ROWS) -> list[Piece]:
    """Return the pieces of a Parquet file, of at least so many `rows` but the last one, in the file's order.

    None: it is no Parquet file, or has no rows. Raises BadCompaniesFileError.
    """
    if _kind_of(reader, file) != "parquet":
        return []
    with _translated(file):
        metadata = _checked_parquet(reader, file).metadata
    pieces: list[Piece] = []
    groups: list[int] = []
    held = begin = 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        held += metadata.row_group(group).num_rows
        if held < rows and group + 1 < metadata.num_row_groups:
            continue
        # Whoever reads a piece reads what comes before it in its row groups, so that there must be few.
        size = max(rows, -(-held // _MOST_PIECES))
        pieces += [
            Piece(groups=tuple(groups), skipped=place, rows=min(size, held - place), begin=begin + place)
            for place in range(0, held, size)
        ]
        begin, held = begin + held, 0
        groups = []
    return pieces


def read_piece(reader: SourceReader, file: SourceFile, piece: Piece) -> Iterator[Records]:
    """Yield the records of a piece as `read_records` does; raises BadCompaniesFileError."""
    with _translated(file):
        yield from _parquet(reader, file, BATCH_ROWS, piece)


def rows_in(reader: SourceReader, file: SourceFile, *, most: int) -> int:
    """Return about how many records a file has, without reading them as such.

    Raises BadCompaniesFileError, also where there are more than `most`.
    """
    with _translated(file):
        match _kind_of(reader, file):
            case "parquet":
                rows = int(_checked_parquet(reader, file).metadata.num_rows)
            case "xlsx":
                rows = check_workbook(reader.file.read()) - 1
            case _:
                rows = _lines_in(reader)
        reader.file.seek(0)
    if rows > most:
        raise BadCompaniesFileError(f"{file.name} has {rows:,} rows, and {most:,} are the most: split it")
    return max(0, rows)


def _kind_of(reader: SourceReader, file: SourceFile) -> str:
    """Return what a file is by its first bytes; raises BadCompaniesFileError where it is called otherwise."""
    reader.file.seek(0)
    magic = reader.file.read(4)
    reader.file.seek(0)
    kind = file.name.lower().rpartition(".")[2]
    found = {_MAGIC: "parquet", _ZIP: "xlsx"}.get(magic, "csv")
    if kind in {"csv", "xlsx", "parquet"} and kind != found:
        raise BadCompaniesFileError(
            f"{file.name} is called .{kind}, but its content is not: {_content(found)}"
        )
    return found


@contextmanager
def _translated(file: SourceFile) -> Iterator[None]:
    try:
        yield
    except RiskAlertsError:
        raise
    except (pa.ArrowException, BadWorkbookError, OSError, ValueError) as problem:
        said = " ".join(str(problem).split())[:300]
        if isinstance(problem, UnicodeDecodeError) or "invalid UTF8" in said:
            said = f"it is neither XLSX nor Parquet, and no text in UTF-8, as CSV must be ({said})"
        raise BadCompaniesFileError(f"{file.name} cannot be read: {said}") from problem


def _content(found: str) -> str:
    return {
        "parquet": "it is Parquet",
        "xlsx": "it is XLSX or another archive",
        "csv": "it begins like text",
    }[found]


def _lines_in(reader: SourceReader) -> int:
    """Return how many lines a CSV file has below its header."""
    header = first_record(reader.file.read(_LOOK))
    reader.file.seek(len(header))
    lines, last = 0, b"\n"
    for piece in iter(lambda: reader.file.read(_BLOCK), b""):
        lines += max(piece.count(b"\n"), piece.count(b"\r"))
        last = piece[-1:]
    return lines + (last not in b"\r\n")


def _csv(reader: SourceReader, batch_rows: int) -> Iterator[Records]:
    look = reader.file.read(_LOOK)
    reader.file.seek(0)
    if look.startswith(_UTF_16):
        raise ValueError("it is UTF-16, and only UTF-8 is read: export it again")
    header = first_record(look)
    if not header.strip():
        raise ValueError("its first line, which must name the columns, is empty")
    delimiter = ";" if b";" in header and b"," not in header else ","
    names = pc.open_csv(
        BytesIO(header + b"\n"),
        parse_options=pc.ParseOptions(delimiter=delimiter, newlines_in_values=True),
    ).schema.names
    broken: dict[int, str] = {}

    def skip(row: Any) -> str:
        broken[row.number] = f"it has {row.actual_columns} columns, and the header {row.expected_columns}"
        return "skip"

    # One thread: only so does the parser know which record it is at.
    batches = pc.open_csv(
        reader.file,
        read_options=pc.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=pc.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pc.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    number = _FIRST
    for batch in batches:
        for begin in range(0, batch.num_rows, batch_rows):
            piece = batch.slice(begin, batch_rows)
            numbers: list[int] = []
            skipped: dict[int, str] = {}
            if not broken:
                numbers += range(number, number + piece.num_rows)
                number += piece.num_rows
            while len(numbers) < piece.num_rows:
                if number in broken:
                    skipped[number] = broken.pop(number)
                else:
                    numbers.append(number)
                number += 1
            yield _records(*_without_blanks(numbers, piece), skipped)
    if broken or number == _FIRST:
        yield Records(numbers=(), columns={name: pa.array([], pa.string()) for name in names}, broken=broken)


def _without_blanks(numbers: list[int], piece: Any) -> tuple[list[int], Any]:
    """Leave out records of nothing but delimiters: a spreadsheet writes them for its empty rows."""
    is_blank: Any = None
    for column in piece.columns:
        empty = compute.equal(column, "")
        is_blank = empty if is_blank is None else compute.and_(is_blank, empty)
        if not compute.any(is_blank).as_py():
            return numbers, piece
    keep = compute.invert(is_blank)
    return compute.filter(pa.array(numbers, pa.int64()), keep).to_pylist(), piece.filter(keep)


def _checked_parquet(reader: SourceReader, file: SourceFile) -> Any:
    end = footer_of(reader.file, file.size)
    # Before the library reads it: there are footers that would end the process.
    check_footer(end[:-_TRAILER], file.name, bounds_of=None)
    return pq.ParquetFile(reader.file, pre_buffer=False)


def _parquet(
    reader: SourceReader, file: SourceFile, batch_rows: int, piece: Piece | None = None
) -> Iterator[Records]:
    parquet = _checked_parquet(reader, file)
    if piece is None:
        piece = Piece(
            groups=tuple(range(parquet.num_row_groups)), skipped=0, rows=parquet.metadata.num_rows, begin=0
        )
    number = _FIRST + piece.begin
    place = -piece.skipped
    for batch in parquet.iter_batches(batch_size=batch_rows, row_groups=piece.groups, use_threads=False):
        check_dictionaries(batch)
        mine = batch.slice(max(0, -place), max(0, piece.rows - max(0, place)))
        place += batch.num_rows
        if mine.num_rows:
            yield _records(range(number, number + mine.num_rows), without_views(mine), {})
            number += mine.num_rows
        if place >= piece.rows:
            break
    if number == _FIRST:
        yield _records([], pa.RecordBatch.from_pylist([], schema=parquet.schema_arrow), {})


def _xlsx(reader: SourceReader, sheet: str | None, batch_rows: int) -> Iterator[Records]:
    header, rows = open_sheet(reader.file.read(), sheet)
    pending: list[Sequence[Any]] = []
    numbers: list[int] = []
    for number, row in rows:
        if any(cell != "" for cell in row):
            pending.append(row)
            numbers.append(number)
        if len(pending) == batch_rows:
            yield _cells(header, numbers, pending)
            pending, numbers = [], []
    yield _cells(header, numbers, pending)


def _cells(header: Sequence[str], numbers: Sequence[int], rows: Sequence[Sequence[Any]]) -> Records:
    columns = {}
    for place, name in enumerate(header):
        cells = [row[place] for row in rows]
        if all(isinstance(cell, float) for cell in cells):
            columns[name] = pa.array(cells, pa.float64())
        else:
            columns[name] = pa.array(
                [_number_text(cell) if isinstance(cell, float) else str(cell) for cell in cells], pa.string()
            )
    return Records(numbers=numbers, columns=columns)


def _number_text(cell: float) -> str:
    """Return the shortest text that reads back as the same number: 1234 of a symbol that is one."""
    return str(int(cell)) if cell.is_integer() and abs(cell) < _EXACT else repr(cell)


def _records(numbers: Sequence[int], batch: Any, broken: Mapping[int, str]) -> Records:
    names = batch.schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        shown = ", ".join(name or "(no name)" for name in twice)
        raise ValueError(f"{shown}: more than one column is called so in its first line")
    return Records(numbers=numbers, columns=dict(zip(names, batch.columns, strict=True)), broken=broken)
