"""Hive trees: any column may be the name of a folder."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from service.domain.errors import SchemaMismatchError
from tests.support.evaluating import JANUARY, evaluated, row, write
from tests.support.histories import COLUMNS, table

DECEMBER = dt.date(2025, 12, 1)


def without(rows: pa.Table, *columns: str) -> pa.Table:
    """Return the rows without the columns that folders give."""
    return rows.drop_columns(list(columns))


def test_a_month_for_each_folder(tmp_path: Path) -> None:
    """The usual tree: one folder for each month, whose files have no month column."""
    for month in ("2026-01-01", "2025-12-01", "2025-11-01"):
        write(tmp_path / f"month={month}" / "part.parquet", without(table([row()]), "month"))
    answer = evaluated(tmp_path)
    assert [(alert.account_id, alert.duration_months) for alert in answer.alerts] == [("a1", 3)]


def test_folders_outside_the_window_are_not_read(tmp_path: Path) -> None:
    """A folder's month prunes like statistics."""
    for month in ("2026-01-01", "2026-02-01", "2010-01-01"):
        write(tmp_path / f"month={month}" / "part.parquet", without(table([row()]), "month"))
    answer = evaluated(tmp_path)
    assert answer.plan["row_groups"]["skipped"] == {
        "newer than the target month": 1,
        "older than the window": 1,
    }
    assert (answer.rows.rows_in_source, answer.rows.outside_window) == (3, 2)


@pytest.mark.parametrize("column", COLUMNS)
def test_any_column_may_be_a_folder(tmp_path: Path, column: str) -> None:
    """Whichever column the folder gives, the answer is that of the flat file."""
    plain = row(renewal_date=dt.date(2026, 6, 1), account_owner="Ann", account_name="Söhne & Co")
    flat = evaluated(write(tmp_path / "flat.parquet", [plain]))
    value = {
        "updated_at": "2026-01-01 00%3A00%3A00",
        "account_name": "S%C3%B6hne %26 Co",
    }.get(column, str(plain[column]))
    write(tmp_path / "tree" / f"{column}={value}" / "part.parquet", without(table([plain]), column))
    assert evaluated(tmp_path / "tree").alerts == flat.alerts


def test_the_default_partition_is_null(tmp_path: Path) -> None:
    """Hive's name for null is null, also for the month, which makes its rows invalid."""
    write(
        tmp_path / "account_region=__HIVE_DEFAULT_PARTITION__" / "a.parquet",
        without(table([row()]), "account_region"),
    )
    lost = tmp_path / "account_region=AMER" / "month=__HIVE_DEFAULT_PARTITION__" / "b.parquet"
    write(lost, without(table([row("a2")]), "account_region", "month"))
    answer = evaluated(tmp_path)
    assert [alert.account_region for alert in answer.alerts] == [None]
    assert sum(answer.rows.invalid.values()) == 1


@pytest.mark.parametrize("folder", ["month=01", "month=1", "month=Jan", "month=2026-01", "month=202601"])
def test_a_month_that_is_a_part_of_another_is_only_a_folder(tmp_path: Path, folder: str) -> None:
    """In `year=2026/month=01` the files have a month of their own, and that is theirs."""
    write(tmp_path / "year=2026" / folder / "a.parquet", [row(), row("a2", DECEMBER)])
    assert [alert.account_id for alert in evaluated(tmp_path).alerts] == ["a1"]
    write(tmp_path / "bare" / "year=2026" / folder / "a.parquet", without(table([row()]), "month"))
    with pytest.raises(SchemaMismatchError, match=r"found .* in the name of its folder"):
        evaluated(tmp_path / "bare")


def test_a_folder_that_contradicts_its_file(tmp_path: Path) -> None:
    """A column in both must say the same in both."""
    write(tmp_path / "same" / "month=2026-01-01" / "a.parquet", [row()])
    assert len(evaluated(tmp_path / "same").alerts) == 1
    write(tmp_path / "other" / "month=2026-01-01" / "a.parquet", [row(), row("a2", DECEMBER)])
    with pytest.raises(SchemaMismatchError, match="its folder says month=2026-01-01"):
        evaluated(tmp_path / "other")


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
@pytest.mark.parametrize("folder", ["2010-01-01", "2031-01-01"])
def test_a_folder_that_contradicts_its_file_does_not_hide_it(
    tmp_path: Path, folder: str, zone: str | None, *, statistics: bool
) -> None:
    """Also where the folder's month lies outside the window, so that nothing in it would be read."""
    write(tmp_path / "month=2026-01-01" / "a.parquet", without(table([row()]), "month"))
    kept = table([row("a2"), row("a3")], types={"month": pa.timestamp("us", zone)})
    write(tmp_path / f"month={folder}" / "a.parquet", kept, write_statistics=statistics)
    with pytest.raises(SchemaMismatchError, match=f"its folder says month={folder}"):
        evaluated(tmp_path)


@pytest.mark.parametrize("zone", [None, "America/New_York", "Pacific/Auckland"])
def test_a_folder_and_its_file_that_agree_still_prune(tmp_path: Path, zone: str | None) -> None:
    """The file's own statistics say as much as the folder."""
    for month in (JANUARY.month.first_day, dt.date(2010, 1, 1)):
        rows = table([row(month=month)], types={"month": pa.timestamp("us", zone)})
        write(tmp_path / f"month={month}" / "a.parquet", rows)
    answer = evaluated(tmp_path)
    assert (len(answer.alerts), answer.plan["row_groups"]["skipped"]) == (1, {"older than the window": 1})


@pytest.mark.parametrize(
    "folder",
    [
        *("month=January", "arr=much", "updated_at=yesterday", "renewal_date=2026-13-01"),
        *("arr=1e10000000", "arr=-1e10000000", "arr=1e-10000000", "arr=0e10000000", "arr=NaN", "arr=inf"),
    ],
)
def test_a_folder_that_is_not_of_its_type(tmp_path: Path, folder: str) -> None:
    """What cannot be cast is refused, naming the folder's value."""
    column, value = folder.split("=")
    write(tmp_path / folder / "a.parquet", without(table([row()]), column))
    with pytest.raises(SchemaMismatchError, match=f"{column}: expected .*, found '{value}'"):
        evaluated(tmp_path)


def test_folders_of_other_columns_are_passed_over(tmp_path: Path) -> None:
    """A key that is no column of ours changes nothing."""
    write(tmp_path / "load_date=2026-01-05" / "a.parquet", [row()])
    assert evaluated(tmp_path).alerts[0].month == JANUARY.month
