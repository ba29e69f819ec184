"""Sample data: the same for everybody, and with every oddity that the service has to cope with."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from service.cli.sample_data import AWKWARD_NAMES, SCHEMA, sample_rows, write_sample_data
from service.domain.month import Month

LAST = Month.parse("2026-01-01")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Return the rows that the command writes when it is asked for nothing in particular."""
    months = sample_rows(accounts=400, months=14, last_month=LAST, seed=1)
    return [row for month in months for row in month]


def test_the_same_arguments_write_the_same_file(tmp_path: Path) -> None:
    """Byte for byte, so that a demonstration looks the same everywhere; another seed writes another."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample_data(tmp_path / name, accounts=30, months=3, last_month=LAST, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_the_file_is_what_was_asked_for(tmp_path: Path) -> None:
    """The specification's columns, one row group a month, in a folder that is made for it."""
    path = tmp_path / "new" / "sample.parquet"
    rows = write_sample_data(path, accounts=50, months=5, last_month=LAST, seed=1)
    file = pq.ParquetFile(path)
    assert file.schema_arrow.equals(SCHEMA)
    assert (file.metadata.num_row_groups, file.metadata.num_rows) == (5, rows)
    months = {month.as_py() for month in pq.read_table(path, columns=["month"])["month"]}
    assert months == {LAST.minus(back).first_day for back in range(5)}


def test_there_is_something_of_everything(rows: list[dict[str, Any]]) -> None:
    """Duplicates, gaps, null and unmapped regions, unknown amounts, churn, near misses."""
    versions = Counter((row["account_id"], row["month"]) for row in rows)
    assert max(versions.values()) > 1
    assert len(versions) < 400 * 14
    assert {row["account_region"] for row in rows} == {"AMER", "EMEA", "APAC", "LATAM", "amer", None}
    assert any(row["arr"] is None for row in rows)
    assert any(row["account_owner"] is None for row in rows)
    assert {"Healthy", "At Risk", "Churned", "at risk"} == {row["status"] for row in rows}


def test_the_awkward_names_are_at_risk_in_the_last_month(rows: list[dict[str, Any]]) -> None:
    """So that a demonstration shows how they are written."""
    shown = {
        row["account_name"] for row in rows if row["month"] == LAST.first_day and row["status"] == "At Risk"
    }
    # A gap may swallow one of them.
    assert len(set(AWKWARD_NAMES) - shown) <= 1


@pytest.mark.parametrize("last", ["0002-01-01", "9999-12-01"])
def test_the_ends_of_the_calendar_are_no_trouble(last: str) -> None:
    """Dates stay inside the years 1 to 9999."""
    months = list(sample_rows(accounts=20, months=12, last_month=Month.parse(last), seed=1))
    assert len(months) == 12
