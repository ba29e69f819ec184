"""Histories: random sources of monthly rows, and every way in which a writer may lay the same rows out.

`histories()` draws rows and the criteria to evaluate them by; `layouts(history)` draws how they lie in files;
`write(history, layout, directory)` writes them. A history says only what the rows mean, so any two layouts of
it must give the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from service.account_risk.account_at_risk import Criteria
from service.domain.month import Month

Row: TypeAlias = dict[str, Any]

COLUMNS: Final = (
    "account_id",
    "account_name",
    "account_region",
    "month",
    "status",
    "renewal_date",
    "account_owner",
    "arr",
    "updated_at",
)
EXTRA_COLUMNS: Final = ("segment", "ARR", "note")
NULLABLE: Final = ("account_name", "account_region", "renewal_date", "account_owner", "arr")
STRINGS: Final = ("account_id", "account_name", "account_region", "status", "account_owner")

NEAR_MISSES: Final = ("at risk", "AT RISK", " At Risk", "At Risk ", "At  Risk", "At-Risk", "AtRisk", "")
TARGET_MONTHS: Final = (
    *("2026-01-01", "2026-03-01", "2025-12-01") * 3,
    *("1900-01-01", "1970-01-01", "2040-07-01", "9999-12-01"),
)
NANOSECONDS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
MONTH_ZONES: Final = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Pacific/Auckland",
    "Pacific/Kiritimati",
)
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Rows in one order, and what to look for in them."""

    rows: tuple[Row, ...]
    criteria: Criteria


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the rows of a history lie in files; the default is what most writers do."""

    order: tuple[int, ...] = ()
    """Positions of the history's rows; empty for their own order."""
    cuts: tuple[int, ...] = ()
    """Where one file ends and the next begins; two equal ones make a file without rows."""
    row_group_size: int = 1_000_000
    compression: str = "snappy"
    columns: tuple[str, ...] = COLUMNS
    """In the order of the file; those that are not in COLUMNS are filled with something else's data."""
    types: dict[str, pa.DataType] = field(default_factory=dict)
    """Where they are not DEFAULT_TYPES."""
    dictionary_encoding: bool = True
    statistics: bool = True
    arrow_schema: bool = True
    """Whether the file says which Arrow types it was written from; other writers than Arrow do not."""
    int96: bool = False
    page_version: str = "1.0"
    page_size: int | None = None
    decoys: bool = False
    """Whether files lie beside that are none of the source's: `_SUCCESS`, hidden ones, notes."""


DEFAULT_TYPES: Final = {
    **dict.fromkeys(STRINGS, pa.string()),
    "month": pa.date32(),
    "renewal_date": pa.date32(),
    "arr": pa.int64(),
    "updated_at": pa.timestamp("us"),
}


@st.composite
def histories(draw: st.DrawFn, *, max_rows: int = 60) -> History:
    """Draw a small history in which accounts, months, instants and attributes collide all the time."""
    criteria = draw(all_criteria())
    first, last = criteria.first_month, criteria.month
    ids = draw(st.lists(account_ids(), min_size=1, max_size=4, unique=True))
    near = [Month(max(12, min(last.index + step, 9999 * 12 + 11))) for step in (1, 2, 13)]
    near += [Month(max(12, first.index - step)) for step in (1, 2, 13)]
    inside = [last.minus(back) for back in range(min(last.index - first.index + 1, 8))] + [first]
    mid_month = [first.last_day, last.last_day, last.minus(1).last_day, last.first_day.replace(day=2)]
    months = st.one_of(
        st.just(last.first_day),
        st.sampled_from([month.first_day for month in inside]),
        st.sampled_from([month.first_day for month in inside]),
        st.sampled_from([month.first_day for month in near]),
        st.sampled_from(mid_month),
        st.none(),
    )
    rows = st.fixed_dictionaries(
        {
            "account_id": st.one_of(*[st.sampled_from(ids)] * 9, st.none(), st.just("")),
            "account_name": st.one_of(
                st.sampled_from(["Acme", "Zeta & Söhne", "<!channel>", "", "\u00a0 ", "é" * 3_000]), st.none()
            ),
            "account_region": st.one_of(st.sampled_from(["AMER", "EMEA", "APAC", "amer", " "]), st.none()),
            "month": months,
            "status": st.one_of(
                *[st.just("At Risk")] * 4,
                st.sampled_from(["Healthy", "Watch"]),
                st.sampled_from(NEAR_MISSES),
                st.none(),
            ),
            "renewal_date": st.one_of(
                st.dates(date(2025, 1, 1), date(2025, 1, 4)), st.dates(date(1900, 1, 1)), st.none()
            ),
            "account_owner": st.one_of(
                st.sampled_from(["Ann", "Bo", "\u202eOb", "O" * 4_096, "O" * 4_097]), st.none()
            ),
            "arr": draw(arrs(criteria.arr_threshold)),
            "updated_at": draw(instants()),
        }
    )
    drawn = draw(st.lists(rows, min_size=0, max_size=max_rows))
    for account_id in draw(st.sets(st.sampled_from(ids))):
        # Streaks, which chance alone would hardly make.
        row, length = draw(rows), draw(st.integers(1, 6))
        streak = [last.minus(back).first_day for back in range(min(length, last.index - 11))]
        drawn += [{**row, "account_id": account_id, "month": day, "status": "At Risk"} for day in streak]
    if drawn:
        # Whole rows again, and rows that differ in one column alone: the ties that rules are about.
        for copied in draw(st.lists(st.sampled_from(drawn), max_size=5)):
            column = draw(st.sampled_from(COLUMNS[1:]))
            drawn.append({**copied, column: draw(st.sampled_from(drawn))[column]})
            drawn.append({**copied, "month": last.first_day, "status": "At Risk"})
    for column in draw(
        st.sets(st.sampled_from(["account_name", "account_region", "account_owner"]), max_size=1)
    ):
        drawn = [{**row, column: None} for row in drawn]
    return History(rows=tuple(drawn), criteria=criteria)


@st.composite
def all_criteria(draw: st.DrawFn) -> Criteria:
    """Draw what makes an alert: recent months and the ends of the calendar, short and long histories."""
    return Criteria(
        month=Month.parse(draw(st.sampled_from(TARGET_MONTHS))),
        arr_threshold=draw(st.one_of(st.just(10_000), st.sampled_from([0, -5, 1]))),
        alert_on_unknown_arr=draw(st.booleans()),
        history_months=draw(st.one_of(st.just(120), st.integers(1, 5))),
    )


def account_ids() -> st.SearchStrategy[str]:
    """Draw ids that are easily confused, and ids that are awkward in a URL."""
    return st.one_of(
        st.sampled_from(["L" * 1_024, "L" * 1_025, "é" * 512, "é" * 513]),
        st.sampled_from(["a1", "a2", "A1", "a1 ", " a1", "a", "../x?y#z", "a/b", "ä", "\U0001f6a9", "0"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6),
    )


def arrs(threshold: int) -> st.SearchStrategy[st.SearchStrategy[Any]]:
    """Draw how a source stores ARR, as a strategy of its values: all integers, all floats or all decimals."""
    close = [threshold - 1, threshold, threshold + 1]
    whole = st.one_of(
        st.sampled_from([*close, 0, -1, 250_000, 2**53 + 1, 2**63 - 1, -(2**63)]),
        st.none(),
    )
    floats = st.one_of(
        st.sampled_from([*map(float, close), threshold - 0.01, threshold + 0.5, threshold + 1.5, -0.0]),
        st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e300, 2.0**63, -(2.0**63), 2.0**53 + 2]),
        st.none(),
    )
    decimals = st.one_of(
        st.sampled_from([Decimal(value) for value in close] + [Decimal(f"{threshold - 1}.99")]),
        st.sampled_from([Decimal(f"{threshold}.5"), Decimal(2**63), Decimal(-(2**63)), Decimal(2**63 - 1)]),
        st.none(),
    )
    small = st.one_of(st.sampled_from(close), st.none())
    return st.sampled_from([small, whole, floats, decimals])


def instants() -> st.SearchStrategy[st.SearchStrategy[int | None]]:
    """Draw how exact a source's clock is, as a strategy of its instants, few enough to tie often."""
    base = 1_767_225_600 * 10**9
    seconds = st.sampled_from([base, base + 10**9, base - 86_400 * 10**9])
    finer = st.sampled_from([base, base + 1, base + 1_000, base + 1_000_000])
    # Sentinels, as sources have them: of the first year and the last one, 1677, 1900, 2100, 2200 and 2262.
    far = st.sampled_from(
        [
            *(
                second * 10**9
                for second in (-62_135_596_800, 253_402_300_799, 7_258_118_400, 253_370_764_800)
            ),
            *(second * 10**9 for second in (-9_223_372_036, 9_223_372_036, -2_208_988_800, 4_102_444_800)),
            *(253_402_300_799_999_999_000, 253_402_300_799_999_998_000, 7_258_118_400_000_001_000),
        ]
    )
    return st.sampled_from(
        [
            st.one_of(seconds, st.none()),
            st.one_of(seconds, finer, st.none()),
            st.one_of(seconds, far, st.none()),
            st.one_of(st.just(base), st.none()),
        ]
    )


@st.composite
def layouts(draw: st.DrawFn, history: History, *, max_files: int = 3) -> Layout:
    """Draw a way to lay out the rows of `history` that can hold every one of them exactly."""
    rows = history.rows
    types = {column: draw(st.sampled_from(string_types())) for column in STRINGS}
    types["month"] = draw(st.sampled_from(_month_types(rows)))
    types["renewal_date"] = draw(st.sampled_from([pa.date32(), pa.date64()]))
    types["arr"] = draw(st.sampled_from(_arr_types([row["arr"] for row in rows])))
    types["updated_at"] = draw(st.sampled_from(_instant_types([row["updated_at"] for row in rows])))
    for column in NULLABLE:
        if all(row[column] is None for row in rows) and draw(st.booleans()):
            types[column] = pa.null()
    columns = [
        *COLUMNS,
        *draw(st.lists(st.sampled_from(["segment", "ARR", "note"]), max_size=2, unique=True)),
    ]
    if all(row["account_owner"] is None for row in rows) and draw(st.booleans()):
        columns.remove("account_owner")
    zoned_month = pa.types.is_timestamp(types["month"]) and types["month"].tz is not None
    # A file without the Arrow schema keeps no zone but UTC, and INT96 keeps none at all and no more than
    # microseconds are read from it.
    instants_fit = all(
        abs(row["updated_at"] or 0) < 2**62 and (row["updated_at"] or 0) % 1000 == 0 for row in rows
    )
    months_fit = all(date(1700, 1, 1) < (row["month"] or _EPOCH) < date(2250, 1, 1) for row in rows)
    int96 = instants_fit and months_fit and not zoned_month and draw(st.booleans())
    return Layout(
        order=tuple(draw(st.permutations(range(len(rows))))),
        cuts=tuple(sorted(draw(st.lists(st.integers(0, len(rows)), max_size=max_files - 1)))),
        row_group_size=draw(st.one_of(st.just(1_000_000), st.integers(1, 12))),
        compression=draw(st.sampled_from(["none", "snappy", "zstd", "gzip", "lz4"])),
        columns=tuple(draw(st.permutations(columns))),
        types=types,
        dictionary_encoding=draw(st.booleans()),
        statistics=draw(st.integers(0, 3)) > 0,
        arrow_schema=zoned_month or draw(st.booleans()),
        int96=int96,
        page_version=draw(st.sampled_from(["1.0", "2.0"])),
        page_size=draw(st.sampled_from([None, 1])),
        decoys=draw(st.booleans()),
    )


def write(history: History, layout: Layout, directory: Path) -> list[Path]:
    """Write the rows of `history` into `directory` as `layout` says; returns the Parquet files in order."""
    return write_rows(history.rows, layout, directory)


def write_rows(rows: Sequence[Row], layout: Layout, directory: Path) -> list[Path]:
    """Write `rows` into `directory` as `layout` says; returns the Parquet files in order."""
    directory.mkdir(parents=True, exist_ok=True)
    ordered = [rows[position] for position in layout.order] if layout.order else list(rows)
    edges = [0, *layout.cuts, len(ordered)]
    paths = []
    for number, (start, stop) in enumerate(pairwise(edges)):
        path = directory / f"part-{number:03d}.parquet"
        pq.write_table(
            table(ordered[start:stop], columns=layout.columns, types=layout.types),
            path,
            row_group_size=layout.row_group_size,
            compression=layout.compression,
            use_dictionary=layout.dictionary_encoding,
            write_statistics=layout.statistics,
            store_schema=layout.arrow_schema,
            use_deprecated_int96_timestamps=layout.int96,
            data_page_version=layout.page_version,
            data_page_size=layout.page_size,
            write_batch_size=2 if layout.page_size else None,
        )
        paths.append(path)
    if layout.decoys:
        (directory / "_SUCCESS").write_bytes(b"")
        (directory / "notes.txt").write_text("not Parquet at all")
        (directory / ".part-000.parquet.crc").write_bytes(b"crc\0")
        (directory / "_part.parquet").write_bytes(b"half written")
        (directory / ".part.parquet").write_bytes(b"half written")
    return paths


def table(
    rows: Sequence[Row], *, columns: Sequence[str] = COLUMNS, types: dict[str, pa.DataType] | None = None
) -> pa.Table:
    """Return `rows` as an Arrow table with these columns and types."""
    wanted = DEFAULT_TYPES | (types or {})
    arrays = [
        _array([row[column] for row in rows], wanted[column])
        if column in DEFAULT_TYPES
        else pa.array([f"{column} {number}" for number in range(len(rows))])
        for column in columns
    ]
    return pa.table(dict(zip(columns, arrays, strict=True)))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        unit = NANOSECONDS[kind.unit]
        return pa.array([_nanoseconds(value, kind.tz, unit) for value in values], pa.int64()).cast(kind)
    if pa.types.is_dictionary(kind):
        encoded = pa.array(values, kind.value_type).dictionary_encode()
        return pa.DictionaryArray.from_arrays(encoded.indices.cast(kind.index_type), encoded.dictionary)
    if pa.types.is_floating(kind):
        return pa.array([None if value is None else float(value) for value in values], kind)
    if pa.types.is_decimal(kind):
        return pa.array([None if value is None else Decimal(value) for value in values], kind)
    return pa.array(values, kind)


def _nanoseconds(value: date | int | None, zone: str | None, unit: int) -> int | None:
    """Return an instant, or a date's midnight on the wall of `zone`, in units since 1970 UTC."""
    if value is None:
        return None
    if isinstance(value, int):
        return value // unit
    midnight = (value - _EPOCH).days * 86_400
    if zone not in (None, "UTC"):
        wall = datetime(value.year, value.month, value.day, tzinfo=ZoneInfo(str(zone)))
        midnight -= int((wall.utcoffset() or timedelta()).total_seconds())
    return midnight * 10**9 // unit


def string_types() -> list[pa.DataType]:
    """Return every type of text that Arrow writes to Parquet."""
    plain = [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()]
    indices = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]
    dictionaries = [pa.dictionary(index, value) for index in indices for value in plain]
    return [*plain, pa.string_view(), pa.binary_view(), *dictionaries]


def _month_types(rows: Sequence[Row]) -> list[pa.DataType]:
    kinds = [pa.date32(), pa.date32(), pa.date64(), *map(pa.timestamp, ("s", "ms", "us"))]
    months = [row["month"] for row in rows if row["month"] is not None]
    if all(date(1700, 1, 1) < month < date(2250, 1, 1) for month in months):
        kinds.append(pa.timestamp("ns"))
        kinds += [pa.timestamp("ns", tz=zone) for zone in MONTH_ZONES]
    if all(date(2, 1, 1) < month < date(9999, 12, 1) for month in months):
        kinds += [pa.timestamp(unit, tz=zone) for unit in ("s", "ms", "us") for zone in MONTH_ZONES]
    return kinds


def _arr_types(values: Sequence[Any]) -> list[pa.DataType]:
    known = [value for value in values if value is not None]
    if any(isinstance(value, float) for value in known):
        return [pa.float64()]
    if any(isinstance(value, Decimal) for value in known):
        return [pa.decimal128(24, 2), pa.decimal128(38, 4), pa.decimal256(50, 2)]
    kinds = [pa.int64(), pa.int64(), pa.decimal128(19, 0), pa.decimal128(38, 6), pa.decimal256(76, 30)]
    if all(abs(value) < 2**53 for value in known):
        kinds.append(pa.float64())
    if all(abs(value) < 2**31 for value in known):
        kinds += [pa.int32(), pa.decimal64(18, 4)]
    if all(abs(value) < 2**15 for value in known):
        kinds += [pa.int16(), pa.float32(), pa.decimal32(9, 3)]
    if all(0 <= value < 2**32 for value in known):
        kinds += [pa.uint32(), pa.uint64()]
    return kinds


def _instant_types(values: Sequence[int | None]) -> list[pa.DataType]:
    known = [value for value in values if value is not None]
    kinds = []
    for unit, nanoseconds in NANOSECONDS.items():
        holds = all(value % nanoseconds == 0 and -(2**63) < value // nanoseconds < 2**63 for value in known)
        if holds:
            kinds += [pa.timestamp(unit, tz=zone) for zone in (None, "UTC", "America/New_York", "+05:30")]
    return kinds
