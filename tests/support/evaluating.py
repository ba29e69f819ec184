"""How tests evaluate: a table or a folder in, an evaluation out."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from service.account_risk.account_at_risk import Criteria
from service.account_risk.evaluate import MonthEvaluation, evaluate
from service.account_risk.options import EvaluationOptions
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support.histories import table

JANUARY = Criteria(month=Month.parse("2026-01-01"))


def row(account_id: str | None = "a1", month: Any = None, **columns: Any) -> dict[str, Any]:
    """Return a row that alerts in January 2026 unless told otherwise; `month` is a date."""
    return {
        "account_id": account_id,
        "account_name": "Acme",
        "account_region": "AMER",
        "month": JANUARY.month.first_day if month is None else month,
        "status": "At Risk",
        "renewal_date": None,
        "account_owner": None,
        "arr": 50_000,
        "updated_at": 1_767_225_600 * 10**9,
    } | columns


def write(path: Path, rows: list[dict[str, Any]] | pa.Table, **options: Any) -> Path:
    """Write rows, or a table as it stands, as one Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows if isinstance(rows, pa.Table) else table(rows), path, **options)
    return path


def evaluated(
    path: Path,
    criteria: Criteria = JANUARY,
    *,
    options: EvaluationOptions | None = None,
    progress: Progress | None = None,
    watched: Sequence[str] = (),
) -> MonthEvaluation:
    """Evaluate a file or folder."""
    with open_source(SourceUri.parse(f"file://{path}"), StorageAccess()) as source:
        return asyncio.run(
            evaluate(
                source,
                criteria,
                options=options or EvaluationOptions(),
                progress=progress or Progress(),
                watched=watched,
            )
        )
