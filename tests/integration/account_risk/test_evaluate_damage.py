"""Files of any making, whole and damaged: an answer or a listed error, and the process lives on.

Each file is evaluated in a process of its own, because what is looked for would take the tests down with it.
A file that does harm stays in the folder that the failure names; the same examples are tried every time.
"""

import io
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.errors import SourceNotParquetError, errors_by_code
from service.sources.parquet.footer_validation import check_footer
from tests.support.evaluating import evaluated, row, write
from tests.support.evaluator import Evaluator
from tests.support.histories import COLUMNS, table

ROWS: Final = 24
EARLIER: Final = date(2025, 12, 1)

Damage = list[tuple[str, float, int, bool]]


@cache
def whole_files() -> tuple[bytes, ...]:
    """Return files as different writers make them, all with nested columns that nobody asked for."""
    plain = {"use_dictionary": False, "compression": "none"}
    return tuple(
        _file(**options)
        for options in (
            {},
            {"compression": "none", "data_page_version": "2.0", "write_page_index": True},
            {"compression": "gzip", "row_group_size": 5, "store_schema": False},
            {"compression": "zstd", "data_page_size": 1, "use_deprecated_int96_timestamps": True},
            {"compression": "brotli", "data_page_version": "2.0", "write_page_checksum": True},
            {"compression": "lz4", "write_statistics": False},
            plain | {"column_encoding": dict.fromkeys(("account_id", "status"), "DELTA_BYTE_ARRAY")},
            plain
            | {"column_encoding": {"account_id": "DELTA_LENGTH_BYTE_ARRAY", "arr": "BYTE_STREAM_SPLIT"}},
            plain | {"column_encoding": dict.fromkeys(("month", "arr", "updated_at"), "DELTA_BINARY_PACKED")},
        )
    )


def _file(**options: Any) -> bytes:
    rows = [
        row(f"a{n % 8}", EARLIER if n % 3 else None, arr=None if n % 5 == 0 else 50_000) for n in range(ROWS)
    ]
    deep = pa.struct(
        [("list", pa.list_(pa.struct([("b", pa.string())]))), ("map", pa.map_(pa.string(), pa.int8()))]
    )
    made = table(rows)
    made = made.append_column("junk", pa.array([[1, None], None, []] * (ROWS // 3), pa.list_(pa.int32())))
    made = made.append_column(
        "deep", pa.array([{"list": [{"b": "x"}], "map": [("k", 1)]}, None] * (ROWS // 2), deep)
    )
    sink = io.BytesIO()
    pq.write_table(made, sink, **options)
    return sink.getvalue()


def damages() -> st.SearchStrategy[Damage]:
    """Draw what is done to a file, one after the other: to its footer every other time."""
    kinds = st.sampled_from(["flip", "flip", "flip", "set", "remove", "insert", "copy", "cut"])
    return st.lists(
        st.tuples(kinds, st.floats(0, 1, exclude_max=True), st.integers(0, 255), st.booleans()),
        min_size=1,
        max_size=6,
    )


def damaged(content: bytes, damage: Damage) -> bytes:
    """Return the file as it is after that."""
    changed = bytearray(content)
    for kind, where, value, in_footer in damage:
        footer = min(int.from_bytes(changed[-8:-4], "little"), len(changed) - 8) if len(changed) > 8 else 0
        first = len(changed) - 8 - footer if in_footer and footer > 0 else 0
        at = first + int(where * (len(changed) - first))
        match kind:
            case "flip" if changed:
                changed[at] ^= 1 << value % 8
            case "set" if changed:
                changed[at] = value
            case "remove":
                del changed[at : at + 1 + value % 8]
            case "insert":
                changed[at:at] = bytes([value] * (1 + value % 5))
            case "copy":
                changed[at : at + 8] = changed[value : value + 8]
            case "cut" if value < 32:  # else most files would be no more than that
                del changed[at:]
    return bytes(changed)


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    """Start a process that evaluates; it is started again when a file has ended it."""
    with Evaluator() as running:
        yield running


def check(evaluator: Evaluator, folder: Path, content: bytes) -> None:
    """Evaluate a file: the answer is a number of alerts, or an error that the API has a status for."""
    path = folder / "made.parquet"
    path.write_bytes(content)
    said = evaluator.says(path)
    assert said.endswith(" alerts") or said in errors_by_code(), said


def tried(examples: int) -> settings:
    """Return how often to try: the same examples each time."""
    return settings(max_examples=examples, derandomize=True, suppress_health_check=list(HealthCheck))


@tried(250)
@given(place=st.integers(0, len(whole_files()) - 1), damage=damages())
def test_a_damaged_file_is_an_answer_or_an_error(
    evaluator: Evaluator, tmp_path: Path, place: int, damage: Damage
) -> None:
    """Bytes flipped, lost and added, in pages and in footers: no crash, no hang, nothing unlisted."""
    check(evaluator, tmp_path, damaged(whole_files()[place], damage))


@pytest.mark.fault
@pytest.mark.timeout(600)  # eight thousand files, each in a child
@tried(8_000)
@given(place=st.integers(0, len(whole_files()) - 1), damage=damages())
def test_many_damaged_files_are_answers_or_errors(
    evaluator: Evaluator, tmp_path: Path, place: int, damage: Damage
) -> None:
    """The same, for as long as it takes."""
    check(evaluator, tmp_path, damaged(whole_files()[place], damage))


VALUES: Final[tuple[tuple[pa.DataType, list[Any]], ...]] = (
    (pa.string(), ["At Risk", "", "a1", None]),
    (pa.large_string(), ["At Risk", None]),
    (pa.binary(), [b"\xff\x00", b"At Risk", None]),
    (pa.binary(3), [b"abc", None]),
    (pa.dictionary(pa.int8(), pa.string()), ["At Risk", None]),
    (pa.bool_(), [True, None]),
    (pa.int8(), [-1, None]),
    (pa.uint64(), [2**64 - 1, None]),
    (pa.int64(), [-(2**63), None]),
    (pa.float16(), [1.5, None]),
    (pa.float64(), [float("nan"), 1e300, None]),
    (pa.decimal128(38, 10), [Decimal("-1.5"), None]),
    (pa.decimal256(76, 0), [Decimal(10) ** 75, None]),
    (pa.date32(), [date(2026, 1, 1), date.min, None]),
    (pa.date64(), [date(2026, 1, 1), None]),
    (pa.time64("ns"), [1, None]),
    (pa.timestamp("s"), [datetime(2026, 1, 1), None]),  # noqa: DTZ001  # a naive one is meant
    (pa.timestamp("ns", "Asia/Kathmandu"), [2**62, None]),
    (pa.duration("us"), [1, None]),
    (pa.null(), [None]),
    (pa.list_(pa.string()), [["At Risk"], [], None]),
    (pa.struct([("month", pa.date32())]), [{"month": date(2026, 1, 1)}, None]),
    (pa.map_(pa.string(), pa.list_(pa.int8())), [[("k", [1])], None]),
)


@tried(150)
@given(
    columns=st.dictionaries(st.sampled_from(COLUMNS), st.sampled_from(range(len(VALUES))), max_size=3),
    missing=st.sets(st.sampled_from(COLUMNS), max_size=1),
    twice=st.sampled_from([None, *COLUMNS]),
    page_version=st.sampled_from(["1.0", "2.0"]),
    dictionary=st.booleans(),
    group=st.sampled_from([1, 5, 1000]),
    statistics=st.booleans(),
)
def test_a_file_of_any_types_is_an_answer_or_an_error(
    evaluator: Evaluator,
    tmp_path: Path,
    columns: dict[str, int],
    missing: set[str],
    twice: str | None,
    page_version: str,
    *,
    dictionary: bool,
    group: int,
    statistics: bool,
) -> None:
    """Columns of types that nobody would give them, twice, or not at all."""
    made = table([row(f"a{number % 4}") for number in range(ROWS)])
    for name, place in columns.items():
        kind, values = VALUES[place]
        drawn = [values[number % len(values)] for number in range(ROWS)]
        made = made.set_column(made.schema.get_field_index(name), name, pa.array(drawn, kind))
    if twice is not None:
        made = made.append_column(twice, made.column(twice))
    if missing:
        made = made.select([place for place, name in enumerate(made.schema.names) if name not in missing])
    sink = io.BytesIO()
    pq.write_table(
        made,
        sink,
        row_group_size=group,
        use_dictionary=dictionary,
        data_page_version=page_version,
        write_statistics=statistics,
    )
    check(evaluator, tmp_path, sink.getvalue())


@pytest.mark.parametrize("place", range(len(whole_files())))
def test_whole_files_pass_the_footer_s_check(evaluator: Evaluator, tmp_path: Path, place: int) -> None:
    """What is not damaged is evaluated, and every file finds the same."""
    (tmp_path / "made.parquet").write_bytes(whole_files()[place])
    assert evaluator.says(tmp_path / "made.parquet") == "6 alerts"


JANUARY: Final = (date(2026, 1, 1) - date(1970, 1, 1)).days.to_bytes(4, "little")
LETHAL: Final = {
    # A schema in which the account id can no longer be null, and levels that count its nulls.
    "counts other levels": (b"\x15\x0c\x25\x02\x18\x0aaccount_id", b"\x15\x0c\x25\x00\x18\x0aaccount_id"),
    # A column that is text in the schema only.
    "another type": (b"\x15\x0c\x25\x02\x18\x0aaccount_id", b"\x15\x02\x25\x02\x18\x0aaccount_id"),
    # A date of three bytes.
    "statistics": (b"\x04" + JANUARY, b"\x03" + JANUARY[:3]),
}
"""Footers over which pyarrow 26 ends the process; in Thrift's compact protocol."""


def footer_of(content: bytes) -> bytes:
    """Return a file's footer, without its length."""
    return content[-8 - int.from_bytes(content[-8:-4], "little") : -8]


def with_footer(content: bytes, footer: bytes) -> bytes:
    """Return the file with another footer."""
    return content[: -8 - len(footer_of(content))] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def varint(number: int) -> bytes:
    """Return a positive number in seven bits a byte, as the compact protocol has it."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


@pytest.mark.parametrize("problem", LETHAL)
def test_a_footer_that_would_end_the_process_is_an_error(
    evaluator: Evaluator, tmp_path: Path, problem: str
) -> None:
    """It is found out before the library is asked."""
    content = whole_files()[1]
    footer = footer_of(content)
    assert LETHAL[problem][0] in footer
    wrong = footer.replace(*LETHAL[problem])
    with pytest.raises(SourceNotParquetError, match=rf"a\.parquet is damaged: column \d .*{problem}"):
        check_footer(wrong, "a.parquet", bounds_of=COLUMNS.index("month"))
    (tmp_path / "made.parquet").write_bytes(with_footer(content, wrong))
    assert evaluator.says(tmp_path / "made.parquet") == "source_not_parquet"


def test_what_the_library_takes_for_another_field_is_an_error(evaluator: Evaluator, tmp_path: Path) -> None:
    """Field 65,540 is field 4 in its 16 bits, and of two schemas the second is the one that counts."""
    footer = footer_of(whole_files()[1])
    rows = b"\x16" + varint(2 * ROWS)
    schema_end = footer.index(rows + b"\x19\x1c")
    groups_at = schema_end + len(rows)
    lethal = footer.replace(*LETHAL["counts other levels"])
    wrapped = lethal[:groups_at] + b"\x09" + varint(2 * 65_540) + lethal[groups_at + 1 :]
    schema = lethal[footer.index(b"\x19") + 1 : schema_end]
    doubled = footer[:-1] + b"\x09" + varint(2 * 2) + schema + b"\x00"
    for wrong in (wrapped, doubled):
        with pytest.raises(SourceNotParquetError, match=r"a\.parquet is damaged: its footer makes no sense"):
            check_footer(wrong, "a.parquet", bounds_of=None)
        (tmp_path / "made.parquet").write_bytes(with_footer(whole_files()[1], wrong))
        assert evaluator.says(tmp_path / "made.parquet") == "source_not_parquet"


def test_only_statistics_that_are_looked_at_have_to_be_right() -> None:
    """Those of another column are nobody's business."""
    check_footer(footer_of(whole_files()[1]).replace(*LETHAL["statistics"]), "a.parquet", bounds_of=None)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("column", ["account_name", "account_region", "account_id", "status"])
def test_rows_that_point_beyond_their_dictionary(tmp_path: Path, column: str, groups: int) -> None:
    """Damaged pages end the run: of columns read of every row, and of those read of candidates alone."""
    values = ["At Risk"] * 8 + ["b"] * 8 + ["c"] * 1_000
    rows = [row(**{"account_id": f"a{n}", column: value}) for n, value in enumerate(values * groups)]
    options = {"compression": "none", "use_dictionary": [column], "row_group_size": len(values)}
    damaged = write(tmp_path / "a.parquet", rows, **options)
    # The last thousand rows of a row group are one run of the third of three values.
    content = damaged.read_bytes()
    assert content.count(b"\xd0\x0f\x02") == groups
    damaged.write_bytes(content.replace(b"\xd0\x0f\x02", b"\xd0\x0f\x03"))
    with pytest.raises(SourceNotParquetError, match=rf"a\.parquet .* {column} points beyond its dictionary"):
        evaluated(damaged)
