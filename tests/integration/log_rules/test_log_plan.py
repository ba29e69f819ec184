"""The plan of a log: what is read, and how much memory that takes, without reading it."""

from pathlib import Path

import pytest

from service.domain.errors import SchemaMismatchError
from service.domain.source_uri import SourceUri
from service.log_rules.reading.plan import LogPlan, plan_log
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support.log_files import log_row, never, question_of, write_csv, write_parquet


def planned(path: Path) -> LogPlan:
    """Plan a log for two threads."""
    with open_source(SourceUri.parse(path.as_uri()), StorageAccess()) as source:
        rules = question_of().rules
        return plan_log(source, rules, threads=2, settle_rows=1_000, checkpoint_limit_mb=64, stop=never())


def test_a_folder_of_all_kinds(tmp_path: Path) -> None:
    """Each file by its first bytes; of Parquet the rows, and the bytes of the columns that rules name."""
    rows = [log_row(place) for place in range(50)]
    sizes = [write_csv(tmp_path / name, rows).stat().st_size for name in ("a.csv", "b.csv.gz", "c.csv.zst")]
    write_parquet(tmp_path / "d.parquet", rows, row_group=20)
    (tmp_path / "e.csv").touch()
    sizes.append((tmp_path / "f.csv").write_text("\n\n"))
    plan = planned(tmp_path)
    assert plan.files == {"csv": 3, "csv.gz": 1, "csv.zst": 1, "parquet": 1}
    assert (plan.csv_bytes, plan.rows, plan.row_groups) == (sum(sizes), None, 3)
    assert (plan.filter_columns, plan.other_columns) == (("severity",), ("date", "bundle_id"))
    assert 0 < plan.filter_bytes < plan.other_bytes
    assert "5 csv" not in str(plan)
    assert "3 row groups" in str(plan)


def test_parquet_alone_says_its_rows(tmp_path: Path) -> None:
    """And what memory its largest row group takes."""
    rows = [log_row(place) for place in range(500)]
    small = planned(write_parquet(tmp_path / "small.parquet", rows, row_group=10))
    large = planned(write_parquet(tmp_path / "large.parquet", rows, row_group=500))
    assert (small.rows, large.rows) == (500, 500)
    # What threads keep in any case, and three row groups; their dates and groups are text.
    taken = [plan.memory_bytes["reading"] - (62 << 20) for plan in (small, large)]
    assert taken[0] > 3 * 10 * 112
    assert 3 * 500 * 112 < taken[1] < 50 * taken[0]
    assert small.summary()["memory_bytes"]["each_row_within_reach"] == 12
    assert small.summary()["memory_bytes"]["each_alert"] == 4_096
    assert "4,096 bytes an episode or reminder" in str(small)
    assert small.summary()["checkpoint_bytes"] == {
        "rows_within": {"burst": "1m", "bundle": "1h"},
        "each_row": 16,
        "each_open_episode": 74,
        "rows_at_most": 500 * 2 * 16,
        "limit_mb": 64,
    }
    assert "last 1m (burst), 1h (bundle), here at most 16,000, 74 an open episode" in str(small)
    assert "refused above 64 MB" in str(small)


def test_missing_columns_are_named_before_anything_is_read(tmp_path: Path) -> None:
    """In whichever file they are missing."""
    (tmp_path / "a.csv").write_text("date,severity\n1,2\n")
    with pytest.raises(SchemaMismatchError, match="missing bundle_id; its header is date, severity"):
        planned(tmp_path)
