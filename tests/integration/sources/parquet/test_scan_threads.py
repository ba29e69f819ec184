"""The scan: how row groups and their batches are shared out among threads."""

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.account_risk.account_at_risk import Criteria
from service.account_risk.scan_plan import plan_scan
from service.account_risk.schema import ACCOUNT_ROWS
from service.domain.month import Month
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.parquet.batch import Batch
from service.sources.parquet.footer import BATCH_ROWS
from service.sources.parquet.scan import Scan
from service.sources.parquet.schema import Kind
from service.sources.source import StorageAccess

TYPES = {
    Kind.TEXT: pa.string(),
    Kind.DAY: pa.date32(),
    Kind.INSTANT: pa.timestamp("us"),
    Kind.NUMBER: pa.int64(),
}


@pytest.mark.parametrize("row_groups", [1, 2])
def test_no_thread_waits_while_there_is_a_batch(tmp_path: Path, row_groups: int) -> None:
    """Two threads take in batches at the same time, be there one row group or two; each batch once."""
    rows = 4 * BATCH_ROWS
    path = tmp_path / "a.parquet"
    empty = pa.table({name: pa.nulls(rows, TYPES[kind]) for name, kind in ACCOUNT_ROWS.kinds.items()})
    pq.write_table(empty, path, row_group_size=rows // row_groups)
    together = threading.Barrier(2, timeout=10)
    taken: list[tuple[int, int]] = []

    def on_batch(batch: Batch) -> None:
        taken.append((batch.file, batch.first_row))
        together.wait()

    with open_source(SourceUri.parse(path.as_uri()), StorageAccess()) as source:
        scan = Scan(source, ACCOUNT_ROWS, threads=2, stop=threading.Event())
        plan = plan_scan(scan.footers(), Criteria(month=Month.parse("2026-01-01")), threads=2)
        scan.read(plan.with_target, ACCOUNT_ROWS.keys, on_batch)
    assert len(taken) == len(set(taken)) == 4


def test_small_row_groups_come_as_one_batch(tmp_path: Path) -> None:
    """In their order and with all their rows, also where each has a dictionary of its own."""
    statuses = [status for group in "ABA" for status in [f"{group} fine", f"{group} At Risk"] * 50]
    columns = {name: pa.nulls(len(statuses), TYPES[kind]) for name, kind in ACCOUNT_ROWS.kinds.items()}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns | {"status": statuses}), path, row_group_size=100)
    taken: list[Batch] = []
    done: list[int] = []
    with open_source(SourceUri.parse(path.as_uri()), StorageAccess()) as source:
        scan = Scan(source, ACCOUNT_ROWS, threads=2, stop=threading.Event())
        plan = plan_scan(scan.footers(), Criteria(month=Month.parse("2026-01-01")), threads=2)
        assert all("status" in group.dictionaries for group in plan.with_target)
        read = scan.read(plan.with_target, ["status"], taken.append, lambda group: done.append(group.index))
    (batch,) = taken
    assert (batch.first_row, batch.columns.column("status").to_pylist()) == (0, statuses)
    assert (read, done) == (3, [0, 1, 2])


def test_what_one_thread_raises_ends_the_others(tmp_path: Path) -> None:
    """The first error comes out as it is, and no batch is taken in after it."""
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({name: pa.nulls(9 * BATCH_ROWS, TYPES[kind]) for name, kind in ACCOUNT_ROWS.kinds.items()}),
        path,
    )
    taken: list[int] = []

    def on_batch(batch: Batch) -> None:
        taken.append(batch.first_row)
        raise ZeroDivisionError

    with open_source(SourceUri.parse(path.as_uri()), StorageAccess()) as source:
        scan = Scan(source, ACCOUNT_ROWS, threads=2, stop=threading.Event())
        plan = plan_scan(scan.footers(), Criteria(month=Month.parse("2026-01-01")), threads=2)
        with pytest.raises(ZeroDivisionError):
            scan.read(plan.with_target, ACCOUNT_ROWS.keys, on_batch)
    assert len(taken) <= 2
