"""Files of companies: three formats, one meaning, and a clear word about everything that is wrong."""

import io
import re
import threading
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.default_risk.bulk import BulkScoring
from service.default_risk.errors import BadCompaniesFileError, SuspectedFractionUnitsError
from service.default_risk.levels import RiskThresholds
from service.default_risk.reading.companies import ledger_text, read_companies
from service.default_risk.reading.tables import BATCH_ROWS, COMPANY_FILES, read_records, rows_in
from service.default_risk.reading.workbook import BadWorkbookError, check_workbook
from service.default_risk.units import Units
from service.domain.default_risk.job import RowOutcome
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support.companies import ANNUAL, HEALTHY, csv_bytes, small_model, write_companies, xlsx_bytes


def scored(
    path: Path,
    *,
    units: Units | None = None,
    sheet: str | None = None,
    kind: PredictionKind = PredictionKind.ANNUAL,
    batch_rows: int = BATCH_ROWS,
) -> tuple[BulkScoring, list[dict[str, Any]]]:
    """Score a file; return the ledger and the rows of the results."""
    scoring = BulkScoring(small_model(), RiskThresholds())
    rows: list[dict[str, Any]] = []
    with open_source(SourceUri.parse(path.as_uri()), StorageAccess()) as source:
        (file,) = source.files(COMPANY_FILES, threading.Event())
        with source.open(file) as reader:
            records = read_records(reader, file, sheet=sheet, batch_rows=batch_rows)
            for batch in scoring.score(read_companies(records, kind, file=file.name, units=units)):
                rows += batch.results.to_pylist()
    return scoring, rows


def company(**changes: str) -> dict[str, str]:
    """Return a row with some other values."""
    return HEALTHY | changes


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
def test_one_row_has_one_score_in_every_format(tmp_path: Path, suffix: str) -> None:
    """Also where a neighbour in the column is no number, so that a workbook and Parquet hold text."""
    rows = [company(), company(company_symbol="B", net_income_margin="-0.1", return_on_assets="NM")]
    write_companies(tmp_path / "first.csv", rows)
    write_companies(tmp_path / f"other{suffix}", rows)
    expected, found = scored(tmp_path / "first.csv")[1], scored(tmp_path / f"other{suffix}")[1]
    assert found == expected
    assert [row["outcome"] for row in found] == ["scored", "scored"]
    assert found[1]["missing"] == "return_on_assets"


def test_every_row_is_in_the_ledger(tmp_path: Path) -> None:
    """Scored, abstained, duplicate or invalid, each with its record's number and why."""
    rows = [
        company(),
        company(
            return_on_assets="", net_income_margin="NM", ebit_to_interest_expense="nan", company_symbol="A"
        ),
        company(),
        company(company_symbol="C", reporting_year="20x5", net_income_margin="12,5"),
        company(company_symbol=""),
    ]
    path = tmp_path / "c.csv"
    path.write_bytes(
        csv_bytes(rows) + b"SHORT,x\r\n\r\n" + csv_bytes([company(company_symbol="Z")]).split(b"\r\n", 1)[1]
    )
    scoring, results = scored(path)
    assert ledger_text(scoring.ledger) == "7 rows = 2 scored + 1 abstained + 1 duplicate + 3 invalid"
    assert {row["row"]: (row["outcome"], row["problem"]) for row in results} == {
        2: ("scored", None),
        3: (
            "abstained",
            "too many ratios are missing: net_income_margin, ebit_to_interest_expense, return_on_assets",
        ),
        4: ("duplicate", "the same company and period as an earlier row"),
        5: (
            "invalid",
            "reporting_year must be 1900 to 2100; net_income_margin: '12,5' has a decimal comma: write 12.5",
        ),
        6: ("invalid", "company_symbol must have 1 to 40 characters"),
        7: ("invalid", "it has 2 columns, and the header 8"),
        8: ("scored", None),
    }
    assert [row["probability"] is None for row in results if row["outcome"] != RowOutcome.SCORED] == [
        True
    ] * 5


def test_negative_ebitda_and_huge_margins_are_companies_too(tmp_path: Path) -> None:
    """What happens to firms that go bankrupt is scored, not refused."""
    write_companies(tmp_path / "c.csv", [company(total_debt_to_ebitda="-7", net_income_margin="-3110")])
    _, (row,) = scored(tmp_path / "c.csv")
    assert row["outcome"] == "scored"
    assert row["clamped"] == "net_income_margin"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\n \n", "first line, which must name the columns, is empty"),
        (b"", "first line, which must name the columns, is empty"),
        (b"\xff\xfec\x00", "UTF-16"),
        (b"company_symbol,return_on_assets\n", "columns missing: reporting_year, long_term_debt"),
        (csv_bytes([company(net_income_magrin="1")]), "not known: net_income_magrin"),
        (csv_bytes([company()]).replace(b"Solid", b"\xff\xfe"), "UTF8"),
        (csv_bytes([company()]).replace(b"company_name", b"company_symbol"), "more than one column"),
        (csv_bytes([company()]).replace(b"company_name", b'"company\nname"'), "not known: company"),
        (csv_bytes([company()]).split(b"\n")[0], "has no rows"),
        (b"PK\x03\x04" + b"x" * 50, "called .csv, but its content is not"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, problem: str) -> None:
    """One sentence with the file's name, and nothing is scored."""
    (tmp_path / "c.csv").write_bytes(content)
    with pytest.raises(BadCompaniesFileError, match=r"c\.csv") as error:
        scored(tmp_path / "c.csv")
    assert problem in error.value.detail


def test_a_byte_order_mark_and_semicolons_are_fine(tmp_path: Path) -> None:
    """Spreadsheets write both."""
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbf" + csv_bytes([company()], delimiter=";"))
    assert [row["outcome"] for row in scored(tmp_path / "c.csv")[1]] == ["scored"]


@pytest.mark.parametrize("line_break", [b"\r", b"\n", b"\r\n"])
def test_the_header_ends_where_the_parser_ends_it(tmp_path: Path, line_break: bytes) -> None:
    """At any line break, after blank lines; commas in the rows say nothing about what parts the columns."""
    rows = csv_bytes([company(company_name="Solid, Inc.")], delimiter=";")
    (tmp_path / "c.csv").write_bytes(line_break + rows.replace(b"\r\n", line_break))
    assert [row["outcome"] for row in scored(tmp_path / "c.csv")[1]] == ["scored"]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\r\n1,2\r\n3,4\r\n", 2),
        (b"a,b\r1,2\r3,4", 2),
        (b'\n"a\nc",b\n1,2\n3,4', 2),
        (b"a,b\n", 0),
        (b"a,b", 0),
        (b"", 0),
    ],
)
def test_a_header_is_no_row(tmp_path: Path, content: bytes, rows: int) -> None:
    """How far a job is, and whether a file has too many rows, is said of its rows, whatever ends the last."""
    (tmp_path / "c.csv").write_bytes(content)
    with open_source(SourceUri.parse((tmp_path / "c.csv").as_uri()), StorageAccess()) as source:
        (file,) = source.files(COMPANY_FILES, threading.Event())
        with source.open(file) as reader:
            assert rows_in(reader, file, most=rows) == rows
            assert reader.file.read() == content
            if rows:
                with pytest.raises(BadCompaniesFileError, match="2 rows, and 1 are the most"):
                    rows_in(reader, file, most=rows - 1)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_rows_without_any_value_do_not_count(tmp_path: Path, suffix: str) -> None:
    """A spreadsheet has them below its last row, and writes delimiters for them; numbers stay."""
    blank = dict.fromkeys(HEALTHY, "")
    rows = [blank, company(), blank, company(company_symbol="B"), blank | {"sector": "steel"}, blank]
    write_companies(tmp_path / f"c{suffix}", [{"sector": ""} | row for row in rows])
    found = scored(tmp_path / f"c{suffix}")[1]
    assert [(row["row"], row["outcome"]) for row in found] == [(3, "scored"), (5, "scored"), (6, "invalid")]
    write_companies(tmp_path / f"none{suffix}", [blank, blank])
    with pytest.raises(BadCompaniesFileError, match="has no rows"):
        scored(tmp_path / f"none{suffix}")


@pytest.mark.parametrize("symbol", ["A\nB", "A\x07B", "A\u200bB", "A\xa0B", "A\u2028B", "A\0B"])
def test_a_symbol_that_nobody_can_type_is_invalid(tmp_path: Path, symbol: str) -> None:
    """As over HTTP; letters of every script are fine, and what stands around a symbol is cut off."""
    rows = [company(company_symbol=symbol), company(company_symbol=" Ærø-株式\t")]
    write_companies(tmp_path / "c.csv", rows)
    bad, good = scored(tmp_path / "c.csv")[1]
    assert (bad["outcome"], good["outcome"], good["company_symbol"]) == ("invalid", "scored", "Ærø-株式")
    assert bad["problem"] == "company_symbol must be one line of printable characters"


def test_a_market_capitalisation_is_not_negative(tmp_path: Path) -> None:
    """As over HTTP; missing is fine."""
    rows = [company(market_cap="-0.5"), company(market_cap="NM"), company(market_cap="0", company_symbol="C")]
    write_companies(tmp_path / "c.csv", rows)
    found = [(row["outcome"], row["problem"]) for row in scored(tmp_path / "c.csv")[1]]
    assert found == [("invalid", "market_cap must not be negative"), ("scored", None), ("scored", None)]


def test_a_second_header_is_an_invalid_row(tmp_path: Path) -> None:
    """It is named, and the companies below it are scored."""
    write_companies(tmp_path / "c.csv", [{name: name for name in HEALTHY}, company()])
    _, (header, row) = scored(tmp_path / "c.csv")
    assert (header["outcome"], row["outcome"]) == ("invalid", "scored")


def test_fractions_in_a_whole_file_are_suspected_and_can_be_confirmed(tmp_path: Path) -> None:
    """0.12 for 12 % would make every company mediocre: nobody guesses, the caller says which."""
    percentages = {
        "long_term_debt_to_total_capital": "0.1",
        "net_income_margin": "-0.12",
        "return_on_assets": "0.11",
    }
    rows = [company(company_symbol=f"C{number}") | percentages for number in range(12)]
    write_companies(tmp_path / "c.csv", rows)
    with pytest.raises(SuspectedFractionUnitsError, match="percent or fraction"):
        scored(tmp_path / "c.csv", batch_rows=5)
    _, as_percent = scored(tmp_path / "c.csv", units=Units.PERCENT)
    _, as_fraction = scored(tmp_path / "c.csv", units=Units.FRACTION)
    assert as_fraction[0]["probability"] != as_percent[0]["probability"]
    in_percent = {name: str(100 * float(value)) for name, value in percentages.items()}
    write_companies(tmp_path / "p.csv", [company() | in_percent])
    assert scored(tmp_path / "p.csv")[1][0]["probability"] == as_fraction[0]["probability"]


@pytest.mark.parametrize("batch_rows", [1000, BATCH_ROWS])
def test_the_first_rows_say_what_units_a_file_has(tmp_path: Path, batch_rows: int) -> None:
    """The same ones whether a command or a job reads them, by whatever batches; no row after them counts."""
    fractions = dict.fromkeys(ANNUAL, "0.1")
    rows = [company(company_symbol=f"C{number}") | fractions for number in range(4097)]
    rows[4096]["return_on_assets"] = "12"
    write_companies(tmp_path / "after.csv", rows)
    write_companies(tmp_path / "last.csv", rows[1:])
    with pytest.raises(SuspectedFractionUnitsError):
        scored(tmp_path / "after.csv", batch_rows=batch_rows)
    assert len(scored(tmp_path / "last.csv", batch_rows=batch_rows)[1]) == 4096


def test_the_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    """By default the first; one that is not there is answered with those that are."""
    path = tmp_path / "c.xlsx"
    path.write_bytes(xlsx_bytes([[], list(HEALTHY), [], list(HEALTHY.values())], sheet="Q3 data"))
    _, (row,) = scored(path, sheet="Q3 data")
    assert (row["row"], row["outcome"]) == (4, "scored")
    with pytest.raises(BadCompaniesFileError, match="it has Q3 data"):
        scored(path, sheet="none")
    write_companies(tmp_path / "c.csv", [company()])
    with pytest.raises(BadCompaniesFileError, match="no sheets"):
        scored(tmp_path / "c.csv", sheet="none")


def archive(**parts: bytes) -> bytes:
    """Return an archive with parts of a workbook."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name.replace("__", "/") + ".xml", content)
    return out.getvalue()


def test_a_zip_bomb_is_refused_before_it_is_read() -> None:
    """It is counted as it inflates, whatever its directory says of its size."""
    bomb = archive(xl__worksheets__sheet1=b" " * (9 << 20))
    check_workbook(bomb)
    lying = bomb.replace((9 << 20).to_bytes(4, "little"), (600).to_bytes(4, "little"))
    for content in (bomb, lying):
        with pytest.raises(BadWorkbookError, match="inflates to more than 8 MB"):
            check_workbook(content, most_inflated=8 << 20)


def test_a_cell_in_the_last_corner_is_refused(tmp_path: Path) -> None:
    """The library would make room for seventeen thousand million cells before it."""
    sheet = (
        b'<worksheet><sheetData><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    )
    (tmp_path / "c.xlsx").write_bytes(archive(xl__worksheets__sheet1=sheet))
    with pytest.raises(BadCompaniesFileError, match=r"reaches to row 1,048,576 and column 16,384"):
        scored(tmp_path / "c.xlsx")


@pytest.mark.parametrize("size", [60, 300, 900])
def test_a_damaged_workbook_is_an_error_of_the_file(tmp_path: Path, size: int) -> None:
    """Cut anywhere, it is named, and nothing else happens."""
    path = tmp_path / "c.xlsx"
    path.write_bytes(xlsx_bytes([list(HEALTHY), list(HEALTHY.values())])[:size])
    with pytest.raises(BadCompaniesFileError, match=r"c\.xlsx cannot be read"):
        scored(path)


def test_columns_of_parquet_that_are_no_numbers_are_named_row_by_row(tmp_path: Path) -> None:
    """A date where a ratio should be is the row's problem; a number as a symbol is none."""
    table = pa.table({name: [value] for name, value in HEALTHY.items()})
    table = table.set_column(0, "company_symbol", pa.array([1234.0]))
    table = table.set_column(table.schema.names.index(ANNUAL[0]), ANNUAL[0], pa.array([0], pa.date32()))
    pq.write_table(table, tmp_path / "c.parquet")
    _, (row,) = scored(tmp_path / "c.parquet")
    assert (row["company_symbol"], row["problem"]) == ("1234", f"{ANNUAL[0]}: date32[day] is not a number")


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (pa.array([[1], [2]]), "c.parquet: column company_symbol is list<"),
        (pa.array([b"\xff", b"a"]), "c.parquet: column company_symbol is binary, and cannot be read as text"),
    ],
)
def test_a_column_that_is_no_text_is_an_error_of_the_file(tmp_path: Path, cells: Any, problem: str) -> None:
    """It ended jobs as internal_error."""
    table = pa.Table.from_pylist([company(), company(company_symbol="B")])
    pq.write_table(table.set_column(0, "company_symbol", cells), tmp_path / "c.parquet")
    with pytest.raises(BadCompaniesFileError, match=re.escape(problem)):
        scored(tmp_path / "c.parquet")


def test_a_symbol_that_is_a_number_is_so_in_every_neighbourhood(tmp_path: Path) -> None:
    """1234 whatever else is in its column, or its batch: a missing one, a fraction, a name."""
    rows: list[list[Any]] = [[*HEALTHY]]
    rows += [[symbol, *list(HEALTHY.values())[1:]] for symbol in (1234.0, "NAME", 12.5)]
    (tmp_path / "c.xlsx").write_bytes(xlsx_bytes(rows))
    assert [row["company_symbol"] for row in scored(tmp_path / "c.xlsx")[1]] == ["1234", "NAME", "12.5"]
    table = pa.Table.from_pylist([company()] * 5)
    symbols = pa.array([1234.0, float("nan"), None, 12.5, 1e300])
    pq.write_table(table.set_column(0, "company_symbol", symbols), tmp_path / "c.parquet")
    found = scored(tmp_path / "c.parquet")[1]
    assert [row["company_symbol"] for row in found] == ["1234", None, None, "12.5", "1e+300"]
    assert [row["outcome"] for row in found] == ["scored", "invalid", "invalid", "scored", "scored"]


def with_formula(cell: bytes) -> bytes:
    """Return a workbook whose last cell is this one."""
    made = xlsx_bytes([[*HEALTHY], [*HEALTHY.values()]])
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made)) as before, zipfile.ZipFile(out, "w") as after:
        for part in before.infolist():
            content = before.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                content = re.sub(rb'<c r="H2".*?</c>', lambda _: cell, content)
                assert cell in content
            after.writestr(part, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "cell",
    [
        b'<c r="H2"><f>1+1</f><v></v></c>',
        b'<c r="H2"><f>1+1</f><v /></c>',
        b'<c r="H2" s="3"><f t="shared" si="0"/></c>',
        b'<c r="H2"><f>' + b"1+" * 4000 + b"1</f></c>",
    ],
    ids=["empty", "closed", "shared", "long"],
)
def test_a_formula_without_a_value_is_not_taken_for_missing(tmp_path: Path, cell: bytes) -> None:
    """Programs write workbooks so, and a score without that ratio would say nothing of it."""
    (tmp_path / "c.xlsx").write_bytes(with_formula(cell))
    with pytest.raises(BadCompaniesFileError, match=r"sheet1\.xml: cell H2 has a formula and no value"):
        scored(tmp_path / "c.xlsx")


@pytest.mark.parametrize(
    ("cell", "missing"),
    [
        (b'<c r="H2"><f>5+6</f><v>11</v></c>', None),
        (b'<c r="H2" t="str"><f>IF(1,"","")</f><v></v></c>', "return_on_assets"),
        (b'<c r="H2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "return_on_assets"),
    ],
    ids=["number", "empty text", "error"],
)
def test_a_formula_counts_as_its_value(tmp_path: Path, cell: bytes, missing: str | None) -> None:
    """An error of a spreadsheet is missing, as it is in text."""
    (tmp_path / "c.xlsx").write_bytes(with_formula(cell))
    write_companies(tmp_path / "c.csv", [company(return_on_assets="#DIV/0!" if missing else "11")])
    for name in ("c.xlsx", "c.csv"):
        (row,) = scored(tmp_path / name)[1]
        assert (row["outcome"], row["missing"]) == ("scored", missing)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "c.xls",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "neither XLSX nor Parquet, and no text in UTF-8",
        ),
        ("c.csv.gz", b"\x1f\x8b\x08\x00", "neither XLSX nor Parquet, and no text in UTF-8"),
        ("c.csv", csv_bytes([company(company_name="Z")]).replace(b"Z", b"\xfc"), "no text in UTF-8"),
        ("c.csv", b"Ratios of 2025,,,,,,,\n" + csv_bytes([company()]), "(no name): more than one column"),
    ],
)
def test_what_is_no_such_file_is_said_in_the_words_of_its_reader(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    """An old workbook, something compressed, another encoding, and a title above the header."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadCompaniesFileError, match=re.escape(problem)):
        scored(tmp_path / name)
