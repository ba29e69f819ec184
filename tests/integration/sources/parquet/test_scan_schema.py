"""The scan: what it reads is what the schema that it is given wants, whoever's rows they are."""

import datetime as dt
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.domain.errors import SchemaMismatchError
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.parquet.footer import row_groups
from service.sources.parquet.scan import Scan
from service.sources.parquet.schema import Kind, SourceSchema
from service.sources.source import StorageAccess

INVOICES = SourceSchema(
    kinds={"customer": Kind.TEXT, "due": Kind.DAY, "amount": Kind.NUMBER, "note": Kind.TEXT},
    optional=frozenset({"note"}),
    keys=("customer", "due"),
    attributes=("amount", "note"),
    day="due",
)


def test_another_schema_is_read_and_pruned(tmp_path: Path) -> None:
    """Rows of another kind come from files and folders alike, and their own day bounds their row groups."""
    folder = tmp_path / "customer=Acme"
    folder.mkdir()
    days = [dt.date(2026, 1, 9), dt.date(2026, 3, 2)]
    pq.write_table(
        pa.table({"due": days, "amount": [1.5, 2.5]}), folder / "invoices.parquet", row_group_size=1
    )
    with open_source(SourceUri.parse(tmp_path.as_uri()), StorageAccess()) as source:
        scan = Scan(source, INVOICES, threads=1, stop=threading.Event())
        (footer,) = scan.footers()
        groups = list(row_groups(0, footer))
        batches: list[Any] = []
        scan.read(groups, INVOICES.keys, batches.append)
    assert [(group.first_day, group.last_day) for group in groups] == [(day, day) for day in days]
    assert [row for batch in batches for row in batch.columns.select(INVOICES.keys).to_pylist()] == [
        {"customer": "Acme", "due": day} for day in days
    ]


def test_what_another_schema_misses_is_named(tmp_path: Path) -> None:
    """Its columns are the ones that are asked for."""
    pq.write_table(pa.table({"customer": ["Acme"], "due": [1]}), tmp_path / "invoices.parquet")
    with open_source(SourceUri.parse(tmp_path.as_uri()), StorageAccess()) as source:
        scan = Scan(source, INVOICES, threads=1, stop=threading.Event())
        with pytest.raises(SchemaMismatchError) as raised:
            scan.footers()
    assert raised.value.detail == (
        "invoices.parquet does not fit: due: expected date or timestamp, found int64; "
        "amount: expected integer, decimal or float, but it is missing"
    )
