"""Logs for tests: rows as plain dictionaries, written as CSV or Parquet, and evaluated."""

import csv
import gzip
import io
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.log_rules.evaluate import evaluate_log
from service.log_rules.findings import LogFindings, LogOptions, LogQuestion
from service.log_rules.rule import LOG_COLUMNS
from service.log_rules.rules_file import parse_rules
from service.sources.opening import open_source
from service.sources.source import StorageAccess

LogRow: TypeAlias = Mapping[str, str]

NOON = datetime(2021, 9, 12, 12, tzinfo=UTC)

RULES = """
[source]
columns = [{columns}]
[[rules]]
id = "burst"
title = "{{peak}}"
where = {{severity = ["fatal"]}}
threshold = {{gt = 2}}
window = "1m"
channel = "c"
[[rules]]
id = "bundle"
title = "{{peak}} {{group}}"
where = {{severity = ["fatal"]}}
group_by = ["bundle_id"]
threshold = {{gt = 2}}
window = "1h"
channel = "c"
""".format(columns=", ".join(f'"{name}"' for name in LOG_COLUMNS))


def log_row(offset_s: float = 0, severity: str = "fatal", bundle: str = "com.a", **values: str) -> LogRow:
    """Return a row so many seconds after noon."""
    date = (NOON + timedelta(seconds=offset_s)).isoformat().removesuffix("+00:00")
    return {"severity": severity, "bundle_id": bundle, "date": date} | values


def csv_text(rows: Iterable[LogRow], *, header: Sequence[str] | None = None) -> str:
    """Return rows as CSV of all 24 columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header is not None:
        writer.writerow(header)
    writer.writerows([row.get(name, "x") for name in LOG_COLUMNS] for row in rows)
    return text.getvalue()


def write_csv(path: Path, rows: Iterable[LogRow], *, header: Sequence[str] | None = LOG_COLUMNS) -> Path:
    """Write rows as CSV, also compressed, as the name says."""
    content = csv_text(rows, header=header).encode()
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(content)
        content = sink.getvalue().to_pybytes()
    path.write_bytes(content)
    return path


def write_parquet(path: Path, rows: Sequence[LogRow], *, row_group: int = 1_000, times: Any = None) -> Path:
    """Write rows as Parquet; `times` is the type of the dates, None: text."""
    columns: dict[str, Any] = {name: pa.array([row.get(name, "x") for row in rows]) for name in LOG_COLUMNS}
    if times is not None:
        columns["date"] = pa.array(
            [datetime.fromisoformat(row["date"]) for row in rows], pa.timestamp("us")
        ).cast(times)
    pq.write_table(pa.table(columns), path, row_group_size=row_group)
    return path


def question_of(rules: str = RULES, **details: Any) -> LogQuestion:
    """Ask what a text of rules asks."""
    from service.log_rules.rule import Period  # noqa: PLC0415  # only a default

    return LogQuestion(rules=parse_rules(rules.encode(), "rules.toml"), **{"period": Period(), **details})


async def find(path: Path | str, question: LogQuestion | None = None, **options: Any) -> LogFindings:
    """Evaluate a log."""
    uri = SourceUri.parse(path if isinstance(path, str) else path.as_uri())
    with open_source(uri, StorageAccess()) as source:
        return await evaluate_log(
            source, question or question_of(), options=LogOptions(**options), progress=Progress()
        )


def never() -> threading.Event:
    """Return an event that nobody sets."""
    return threading.Event()
