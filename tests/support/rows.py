"""Rows of sources, as the format of the data has them, and the files that they lie in."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from service.cli.sample_data import SCHEMA

MONTH: Final = "2026-01-01"


def account(which: str | int, *, month: str = MONTH, **changes: Any) -> dict[str, Any]:
    """Return the row of an account At Risk in `month`, but for `changes`; a number is one of `accounts`."""
    account_id = which if isinstance(which, str) else f"a{which:04d}"
    row = {
        "account_id": account_id,
        "account_name": f"Account {account_id}",
        "account_region": "AMER",
        "month": date.fromisoformat(month),
        "status": "At Risk",
        "renewal_date": date(2026, 9, 1),
        "account_owner": "owner@example.com",
        "arr": 50_000 if isinstance(which, str) else 1_000_000 - which,
        "updated_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    assert row.keys() >= changes.keys()
    return row | changes


def accounts(count: int, *, region: str = "AMER", prefix: str = "a", **changes: Any) -> list[dict[str, Any]]:
    """Return `count` accounts of a region; the ARR falls from each to the next, so that they go in order."""
    return [
        account(f"{prefix}{number:04d}", account_region=region, arr=1_000_000 - number, **changes)
        for number in range(count)
    ]


def write_source(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as a Parquet file and return its URI."""
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA), path)
    return path.as_uri()
