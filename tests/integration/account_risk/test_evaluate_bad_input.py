"""Bad input: what cannot be read is refused with a sentence, and what can be read is read."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from service.account_risk.evaluate import evaluate
from service.account_risk.options import EvaluationOptions
from service.account_risk.row_ledger import InvalidRow
from service.domain.errors import (
    MemoryLimitExceededError,
    MonthNotInSourceError,
    SchemaMismatchError,
    SourceNotParquetError,
)
from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support.evaluating import JANUARY, evaluated, row, write
from tests.support.histories import COLUMNS, table
from tests.support.waiting import until

FAR_AWAY = dt.date(2019, 5, 1)


@pytest.mark.parametrize(
    ("text", "said"), [("", "is empty"), ("account_id,month\n" * 100, "cannot be read as Parquet")]
)
def test_a_file_that_is_not_parquet(tmp_path: Path, text: str, said: str) -> None:
    """A file of 0 bytes is not Parquet, nor is any other file, whatever its name."""
    path = tmp_path / "notes.parquet"
    path.write_text(text)
    with pytest.raises(SourceNotParquetError, match=rf"notes\.parquet {said}"):
        evaluated(path)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file(tmp_path: Path, kept: float) -> None:
    """A file that was cut off says so, wherever it was cut."""
    path = write(tmp_path / "a.parquet", [row(f"a{n}") for n in range(500)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(SourceNotParquetError):
        evaluated(path)


def test_a_flipped_byte_is_found_by_its_page_s_checksum(tmp_path: Path) -> None:
    """An ARR of 20,500 that turned into 16,797,716 is no number to send to anybody."""
    path = tmp_path / "a.parquet"
    write(path, [row(arr=20_500)], use_dictionary=False, compression="none", write_page_checksum=True)
    assert evaluated(path).alerts[0].arr == 20_500
    whole, stored = path.read_bytes(), (20_500).to_bytes(8, "little")
    place = whole.rindex(stored, 0, -int.from_bytes(whole[-8:-4], "little"))
    path.write_bytes(whole[: place + 3] + b"\x01" + whole[place + 4 :])
    with pytest.raises(SourceNotParquetError, match="could not verify page integrity"):
        evaluated(path)


def test_statistics_that_contradict_themselves_are_not_trusted(tmp_path: Path) -> None:
    """A first month after the last one says nothing of what is in between."""
    path = tmp_path / "a.parquet"
    first, last = dt.date(2010, 1, 1), dt.date(2031, 1, 1)
    write(path, [row(), row(month=first), row(month=last)], use_dictionary=False, compression="none")
    whole = path.read_bytes()
    end = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    epoch = dt.date(1970, 1, 1).toordinal()
    low, high = (b"\x04" + (day.toordinal() - epoch).to_bytes(4, "little") for day in (first, last))
    assert whole[end:].count(low) == whole[end:].count(high) == 2  # as they were once written, and as now
    swapped = whole[end:].replace(low, b"the first one").replace(high, low).replace(b"the first one", high)
    path.write_bytes(whole[:end] + swapped)
    answer = evaluated(path)
    assert (len(answer.alerts), answer.rows.outside_window) == (1, 2)


def test_no_rows_is_not_a_quiet_success(tmp_path: Path) -> None:
    """A file without rows has not the month that was asked for."""
    with pytest.raises(MonthNotInSourceError, match="no row with a month"):
        evaluated(write(tmp_path / "a.parquet", []))


def test_an_absent_month_names_those_there_are(tmp_path: Path) -> None:
    """Also months outside the window are named, whose row groups are not read otherwise."""
    write(tmp_path / "a.parquet", [row(month=FAR_AWAY), row(month=dt.date(2025, 12, 1))], row_group_size=1)
    write(tmp_path / "b.parquet", [row(month=dt.date(2031, 7, 1)), row(month=None, account_id="x")][:1])
    with pytest.raises(MonthNotInSourceError, match="from 2019-05-01 to 2031-07-01"):
        evaluated(tmp_path)


def test_a_target_month_of_invalid_rows_only(tmp_path: Path) -> None:
    """Rows of nobody do not make a month, and the error says why they were of no use."""
    with pytest.raises(MonthNotInSourceError, match="no usable row of 2026-01-01") as raised:
        evaluated(write(tmp_path / "a.parquet", [row(None), row(""), row(None, FAR_AWAY)]))
    assert raised.value.detail.endswith("3 rows are invalid: account_id_null_or_empty (3)")


@pytest.mark.parametrize("column", [column for column in COLUMNS if column != "account_owner"])
def test_each_missing_column_is_named(tmp_path: Path, column: str) -> None:
    """Every column but the owner must be there."""
    path = write(tmp_path / "a.parquet", table([row()]).drop_columns([column]))
    with pytest.raises(SchemaMismatchError, match=f"{column}: expected .*, but it is missing"):
        evaluated(path)


def test_the_owner_may_be_missing(tmp_path: Path) -> None:
    """No owner column is as good as no owner."""
    path = write(tmp_path / "a.parquet", table([row()]).drop_columns(["account_owner"]))
    assert evaluated(path).alerts[0].account_owner is None


def test_a_column_that_differs_in_case_is_named_as_the_likely_one(tmp_path: Path) -> None:
    """Names match exactly, and whoever wrote another case is told which column it is about."""
    names = {"account_id": "ACCOUNT_ID", "arr": "Arr"}
    rows = table([row()])
    rows = rows.rename_columns([names.get(column, column) for column in rows.column_names])
    with pytest.raises(SchemaMismatchError) as raised:
        evaluated(write(tmp_path / "a.parquet", rows))
    assert "account_id: expected string, but it is missing ('ACCOUNT_ID' is there)" in raised.value.detail
    assert (
        "arr: expected integer, decimal or float, but it is missing ('Arr' is there)" in raised.value.detail
    )


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(
    "wrong", [pa.bool_(), pa.list_(pa.int64()), pa.time32("s"), pa.duration("s")], ids=str
)
def test_each_mistyped_column_is_named(tmp_path: Path, column: str, wrong: pa.DataType) -> None:
    """A column of another type is named, with the type expected and the type found."""
    rows = table([row()])
    place = COLUMNS.index(column)
    path = write(tmp_path / "a.parquet", rows.set_column(place, column, pa.array([None], wrong)))
    with pytest.raises(SchemaMismatchError, match=f"{column}: expected .*, found "):
        evaluated(path)


def test_all_problems_are_named_together(tmp_path: Path) -> None:
    """One look at the error is enough to mend the file."""
    rows = table([row()]).drop_columns(["status", "updated_at"])
    rows = rows.set_column(0, "account_id", pa.array([17]))
    with pytest.raises(SchemaMismatchError) as raised:
        evaluated(write(tmp_path / "a.parquet", rows))
    assert "account_id: expected string, found int64" in raised.value.detail
    assert "status: expected string, but it is missing" in raised.value.detail
    assert "updated_at: expected timestamp, but it is missing" in raised.value.detail


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    """Nobody can tell which of them is meant."""
    rows = table([row()]).append_column("status", pa.array(["Healthy"]))
    with pytest.raises(SchemaMismatchError, match="status: expected once, found 2 times"):
        evaluated(write(tmp_path / "a.parquet", rows))


def test_columns_of_nothing_but_null(tmp_path: Path) -> None:
    """Writers give a column without values the type null."""
    rows = table([row()])
    for column in ("account_name", "account_region", "renewal_date", "account_owner", "arr"):
        rows = rows.set_column(COLUMNS.index(column), column, pa.nulls(1))
    answer = evaluated(write(tmp_path / "a.parquet", rows))
    assert (answer.rows.at_risk, answer.rows.unknown_arr) == (1, 1)


def test_invalid_rows_are_counted_and_shown(tmp_path: Path) -> None:
    """Rows that cannot be used are counted by the first reason, and a few are shown."""
    january = JANUARY.month.first_day
    rows = [row(), row(month=january.replace(day=15)), row(None, january.replace(day=15)), row(None), row("")]
    whole = table([*rows, row("a9")])
    month = pa.array([*(one["month"] for one in rows), None], pa.date32())
    answer = evaluated(write(tmp_path / "a.parquet", whole.set_column(3, "month", month)))
    assert answer.rows.invalid == {
        InvalidRow.MONTH_NULL: 1,
        InvalidRow.MONTH_NOT_FIRST_OF_MONTH: 2,
        InvalidRow.ACCOUNT_ID_NULL_OR_EMPTY: 2,
    }
    shown = [(one.reason.value, one.file, one.account_id, one.month) for one in answer.invalid_samples]
    assert shown == [
        ("month_null", "a.parquet", "a9", None),
        ("month_not_first_of_month", "a.parquet", None, "2026-01-15"),
        ("month_not_first_of_month", "a.parquet", "a1", "2026-01-15"),
        ("account_id_null_or_empty", "a.parquet", None, "2026-01-01"),
        ("account_id_null_or_empty", "a.parquet", "", "2026-01-01"),
    ]


@pytest.mark.parametrize("encoding", [pa.string(), pa.dictionary(pa.uint16(), pa.string())], ids=str)
def test_ids_that_are_too_long_are_invalid(tmp_path: Path, encoding: pa.DataType) -> None:
    """An id of more than 1 KB is no id, and its row is counted and shown, cut."""
    ids = ["a" * 1_024, "b" * 1_025, "é" * 512, "é" * 513, "fine"]
    rows = table([row(one) for one in ids], types={"account_id": encoding})
    answer = evaluated(write(tmp_path / "a.parquet", rows))
    assert {alert.account_id for alert in answer.alerts} == {ids[0], ids[2], "fine"}
    assert answer.rows.invalid == {InvalidRow.ACCOUNT_ID_TOO_LONG: 2}
    assert [one.account_id for one in answer.invalid_samples] == ["b" * 253 + "…", "é" * 126 + "…"]


def test_ids_must_fit_as_they_are_shown(tmp_path: Path) -> None:
    """Broken bytes take four times their room once they are escaped."""
    rows = as_raw_bytes([row("1"), row("2")], "account_id", [b"\xff" * 256, b"\xff" * 257])
    answer = evaluated(write(tmp_path / "a.parquet", rows))
    assert [alert.account_id for alert in answer.alerts] == ["\\xff" * 256]
    assert answer.rows.invalid == {InvalidRow.ACCOUNT_ID_TOO_LONG: 1}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("dictionary", [True, False])
def test_a_giant_id_takes_no_time(tmp_path: Path, *, dictionary: bool) -> None:
    """Nothing is computed of what is refused, nor of what its dictionary holds besides."""
    rows = [row("x" * 5_000_000), *(row(f"a{n}") for n in range(200))]
    answer = evaluated(write(tmp_path / "a.parquet", rows, use_dictionary=dictionary))
    assert (answer.rows.alerts, sum(answer.rows.invalid.values())) == (200, 1)


def as_raw_bytes(rows: list[dict[str, Any]], column: str, values: list[bytes]) -> pa.Table:
    """Return the rows with bytes in a text column that may not be UTF-8, claimed to be text."""
    text = pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())
    return table(rows).set_column(COLUMNS.index(column), column, text)


def test_names_that_are_not_utf_8_are_mended(tmp_path: Path) -> None:
    """Broken bytes and NUL in a name become the replacement character."""
    rows = as_raw_bytes([row("a1"), row("a2")], "account_name", [b"Caf\xe9", b"No\0thing"])
    answer = evaluated(write(tmp_path / "a.parquet", rows))
    assert [alert.account_name for alert in answer.alerts] == ["Caf\ufffd", "No\ufffdthing"]


def test_ids_that_are_not_utf_8_stay_different(tmp_path: Path) -> None:
    """Broken bytes and NUL in an id are escaped, so that no two accounts become one."""
    ids = [b"a\xff", b"a\xfe", rb"a\xff", b"a\0", rb"a\b"]
    rows = as_raw_bytes([row(str(n)) for n in range(len(ids))], "account_id", ids)
    answer = evaluated(write(tmp_path / "a.parquet", rows))
    assert sorted(alert.account_id for alert in answer.alerts) == [
        r"a\b", r"a\x00", r"a\x5cxff", r"a\xfe", r"a\xff"
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", [pa.string(), pa.dictionary(pa.int8(), pa.large_string())], ids=str)
@pytest.mark.parametrize("column", ["account_name", "account_region", "account_owner"])
def test_long_texts_are_cut(tmp_path: Path, column: str, encoding: pa.DataType) -> None:
    """Of more than 4 KB as much is kept, and one warning counts the accounts."""
    texts = ["x" * 4_096, "y" * 4_097, "é" * 4_000, "z" * 65_536]
    rows = table([row(f"a{n}", **{column: text}) for n, text in enumerate(texts)], types={column: encoding})
    answer = evaluated(write(tmp_path / "a.parquet", rows))
    cut = [texts[0], "y" * 4_093 + "…", "é" * 2_046 + "…", "z" * 4_093 + "…"]
    assert [getattr(alert, column) for alert in answer.alerts] == cut
    assert {len(text.encode()) for text in cut} <= {4_095, 4_096}
    assert [(warning.code, warning.count) for warning in answer.warnings] == [("text_cut", 3)]


def test_many_rows_of_one_long_name_take_no_memory(tmp_path: Path) -> None:
    """A name that a file holds once is not made as often as it is said, before it is cut."""
    rows = table([row(f"a{n:05}", account_name="x" * 20_000) for n in range(20_000)])
    path = write(tmp_path / "a.parquet", rows)
    answer = evaluated(path, options=EvaluationOptions(memory_limit_mb=1_024))
    assert (answer.rows.alerts, [warning.count for warning in answer.warnings]) == (20_000, [20_000])


def test_odd_arrs_are_unknown_and_warned_of(tmp_path: Path) -> None:
    """What 64 bits cannot hold is unknown, and somebody is told; NaN is just null."""
    values = [float("inf"), 1e300, -1e300, float("nan"), None, 9_999.99, 10_000.5]
    rows = table([row(f"a{n}", arr=None) for n in range(len(values))])
    rows = rows.set_column(COLUMNS.index("arr"), "arr", pa.array(values, pa.float64()))
    answer = evaluated(write(tmp_path / "a.parquet", rows))
    assert (answer.rows.unknown_arr, answer.rows.below_threshold, answer.rows.alerts) == (5, 1, 1)
    assert answer.alerts[0].arr == 10_001
    assert [(warning.code, warning.count) for warning in answer.warnings] == [("arr_out_of_range", 3)]


def test_near_misses_are_warned_of(tmp_path: Path) -> None:
    """A status or an id that differs by case, spaces or hyphens is another one, but hardly on purpose."""
    statuses = ["at risk", " At Risk", "At\u00a0Risk", "AT-RISK", "At Risk!", None]
    rows = [row(f"b{n}", status=status) for n, status in enumerate(statuses)]
    answer = evaluated(write(tmp_path / "a.parquet", [*rows, row("a1"), row("A1 "), row("a2")]))
    assert [(one.code, one.count) for one in answer.warnings] == [
        ("near_miss_status", 4),
        ("near_miss_account_id", 2),
    ]
    assert {alert.account_id for alert in answer.alerts} == {"a1", "A1 ", "a2"}


def test_the_memory_limit_stops_the_scan(tmp_path: Path) -> None:
    """A scan that cannot stay within the limit stops, and says how much it needs."""
    path = write(tmp_path / "a.parquet", [row(f"a{n}") for n in range(1_000)])
    with pytest.raises(MemoryLimitExceededError, match=r"needs \d+ MB or more .* MEMORY_LIMIT_MB is 64"):
        evaluated(path, options=EvaluationOptions(memory_limit_mb=64))
    assert evaluated(path, options=EvaluationOptions(memory_limit_mb=1_024)).rows.alerts == 1_000


def test_texts_are_charged_to_the_memory_limit(tmp_path: Path) -> None:
    """What alerts will show has to fit, too, as often as it is copied until they are made."""
    rows = [row(f"a{n:05}", account_name=f"{n:05}" * 800) for n in range(20_000)]
    path = write(tmp_path / "a.parquet", rows)
    with pytest.raises(MemoryLimitExceededError, match=r"needs 3\d\d MB or more"):
        evaluated(path, options=EvaluationOptions(memory_limit_mb=300))
    assert evaluated(path, options=EvaluationOptions(memory_limit_mb=1_024)).rows.alerts == 20_000


@pytest.mark.parametrize("row_group_size", [250_000, 4_000_000], ids=["small groups", "a giant group"])
def test_rows_that_tie_take_no_memory(tmp_path: Path, row_group_size: int) -> None:
    """Equal rows collapse as they are read: millions of them fit where one does."""
    one = table([row(account_owner="Ann")])
    rows = pa.table({name: pa.repeat(one[name][0], 4_000_000) for name in one.column_names})
    path = write(tmp_path / "a.parquet", rows, row_group_size=row_group_size)
    answer = evaluated(path, options=EvaluationOptions(threads=2, memory_limit_mb=363))
    assert (len(answer.alerts), answer.rows.duplicates) == (1, 3_999_999)


def test_progress_counts_row_groups_and_rows(tmp_path: Path) -> None:
    """At the end everything that was to be read has been."""
    path = write(tmp_path / "a.parquet", [row(f"a{n}") for n in range(100)], row_group_size=10)
    progress = Progress()
    evaluated(path, progress=progress)
    assert (progress.row_groups_done, progress.row_groups_total) == (10, 10)
    assert (progress.rows_done, progress.rows_total) == (100, 100)


async def test_a_cancelled_evaluation_stops_reading(tmp_path: Path) -> None:
    """Nobody waits for threads that read for nobody, and they read no further."""
    path = write(tmp_path / "a.parquet", [row(f"a{n}") for n in range(2_000)], row_group_size=1)
    progress = Progress()
    with open_source(SourceUri.parse(f"file://{path}"), StorageAccess()) as source:
        running = asyncio.create_task(
            evaluate(source, JANUARY, options=EvaluationOptions(threads=1), progress=progress)
        )
        await until(lambda: progress.row_groups_done)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert progress.row_groups_done < progress.row_groups_total
