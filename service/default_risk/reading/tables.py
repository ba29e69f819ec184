"""Tables: a file's records in Arrow batches of at most `BATCH_ROWS` rows, each with the record's number."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from service.default_risk.errors import BadCompaniesFileError
from service.default_risk.reading.workbook import BadWorkbookError, open_sheet
from service.domain.errors import RiskAlertsError
from service.sources.parquet.footer_validation import check_footer
from service.sources.parquet.scan import footer_of
from service.sources.parquet.text import check_dictionaries, without_views
from service.sources.pattern import FileKind
from service.sources.source import SourceFile, SourceReader

COMPANY_FILES: Final = FileKind(suffixes=(".csv", ".xlsx", ".parquet"))
BATCH_ROWS: Final = 1 << 14
_BLOCK: Final = 1 << 20
_LOOK: Final = 1 << 16
_MAGIC: Final = b"PAR1"
_TRAILER: Final = 8
_FIRST: Final = 2
"""The number of the first record after the header, as a spreadsheet counts."""
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


def read_records(reader: SourceReader, file: SourceFile, *, sheet: str | None = None) -> Iterator[Records]:
    """Yield the records of a file, told apart by its first bytes; raises BadCompaniesFileError."""
    magic = reader.file.read(4)
    reader.file.seek(0)
    kind = file.name.lower().rpartition(".")[2]
    found = {_MAGIC: "parquet", _ZIP: "xlsx"}.get(magic, "csv")
    if kind in {"csv", "xlsx", "parquet"} and kind != found:
        raise BadCompaniesFileError(
            f"{file.name} is called .{kind}, but its content is not: {_content(found)}"
        )
    if sheet is not None and found != "xlsx":
        raise BadCompaniesFileError(f"{file.name} has no sheets: only XLSX has")
    try:
        match found:
            case "parquet":
                yield from _parquet(reader, file)
            case "xlsx":
                yield from _xlsx(reader, sheet)
            case _:
                yield from _csv(reader)
    except RiskAlertsError:
        raise
    except (pa.ArrowException, BadWorkbookError, OSError, ValueError) as problem:
        said = " ".join(str(problem).split())[:300]
        raise BadCompaniesFileError(f"{file.name} cannot be read: {said}") from problem


def _content(found: str) -> str:
    return {
        "parquet": "it is Parquet",
        "xlsx": "it is XLSX or another archive",
        "csv": "it begins like text",
    }[found]


def _csv(reader: SourceReader) -> Iterator[Records]:
    look = reader.file.read(_LOOK)
    reader.file.seek(0)
    if look.startswith(_UTF_16):
        raise ValueError("it is UTF-16, and only UTF-8 is read: export it again")
    header = look.split(b"\n", 1)[0]
    if not header.strip():
        raise ValueError("its first line, which must name the columns, is empty")
    delimiter = ";" if b";" in header and b"," not in header else ","
    names = pc.open_csv(
        BytesIO(header + b"\n"), parse_options=pc.ParseOptions(delimiter=delimiter)
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
        for begin in range(0, batch.num_rows, BATCH_ROWS):
            piece = batch.slice(begin, BATCH_ROWS)
            numbers: list[int] = []
            skipped: dict[int, str] = {}
            while len(numbers) < piece.num_rows:
                if number in broken:
                    skipped[number] = broken.pop(number)
                else:
                    numbers.append(number)
                number += 1
            yield _records(numbers, piece, skipped)
    if broken or number == _FIRST:
        yield Records(numbers=(), columns={name: pa.array([], pa.string()) for name in names}, broken=broken)


def _parquet(reader: SourceReader, file: SourceFile) -> Iterator[Records]:
    end = footer_of(reader.file, file.size)
    # Before the library reads it: there are footers that would end the process.
    check_footer(end[:-_TRAILER], file.name, bounds_of=None)
    number = _FIRST
    parquet = pq.ParquetFile(reader.file, pre_buffer=False)
    for batch in parquet.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
        check_dictionaries(batch)
        yield _records(range(number, number + batch.num_rows), without_views(batch), {})
        number += batch.num_rows
    if number == _FIRST:
        yield _records([], parquet.schema_arrow.empty_table().combine_chunks().to_batches()[0], {})


def _xlsx(reader: SourceReader, sheet: str | None) -> Iterator[Records]:
    header, rows = open_sheet(reader.file.read(), sheet)
    pending: list[Sequence[Any]] = []
    numbers: list[int] = []
    for number, row in rows:
        if any(cell != "" for cell in row):
            pending.append(row)
            numbers.append(number)
        if len(pending) == BATCH_ROWS:
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
            # repr is the shortest text that reads back as the same number.
            columns[name] = pa.array(
                [repr(cell) if isinstance(cell, float) else str(cell) for cell in cells], pa.string()
            )
    return Records(numbers=numbers, columns=columns)


def _records(numbers: Sequence[int], batch: Any, broken: Mapping[int, str]) -> Records:
    names = batch.schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)}: more than one column is called so")
    return Records(numbers=numbers, columns=dict(zip(names, batch.columns, strict=True)), broken=broken)
