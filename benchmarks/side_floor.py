"""The floor: only decoding the columns that the fold needs, of the row groups in the window; no answer."""

from pathlib import Path
from typing import Final

from benchmarks.side import Question, Work

FORMULATIONS: Final = ("row groups", "batches")
KEYS: Final = ("account_id", "month", "status", "updated_at")


def load(formulation: str) -> Work:
    """Import Arrow; whole row groups or batches of 64 k rows, one row group per thread at a time."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - importing is what is timed
    from itertools import repeat  # noqa: PLC0415

    import pyarrow.parquet as pq  # noqa: PLC0415

    def decode(path: Path, group: int) -> int:
        file = pq.ParquetFile(path, read_dictionary=["status"])
        if formulation == "row groups":
            return int(file.read_row_group(group, columns=list(KEYS), use_threads=False).num_rows)
        batches = file.iter_batches(65_536, row_groups=[group], columns=list(KEYS), use_threads=False)
        return sum(batch.num_rows for batch in batches)

    def work(question: Question):  # type: ignore[no-untyped-def]  # noqa: ANN202 - see Work
        paths = [question.source]
        if question.source.is_dir():
            paths = sorted(question.source.glob("**/*.parquet"))
        with ThreadPoolExecutor(question.threads) as pool:
            for path in paths:
                metadata = pq.ParquetFile(path).metadata
                months = metadata.schema.names.index("month")
                wanted = [
                    group
                    for group in range(metadata.num_row_groups)
                    if question.first_month <= metadata.row_group(group).column(months).statistics.max
                    and metadata.row_group(group).column(months).statistics.min <= question.month
                ]
                list(pool.map(decode, repeat(path), wanted))
        return lambda: None

    return work
