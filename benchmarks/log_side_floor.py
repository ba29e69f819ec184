"""The floor: the three columns are decoded, and nothing is done with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.log_side import Found, Work

_COLUMNS: Final = ("severity", "bundle_id", "date")


def load(formulation: str, threads: int) -> Work:
    """Import pyarrow."""
    del formulation
    import pyarrow as pa  # noqa: PLC0415 - importing is what is timed
    import pyarrow.csv  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    pa.set_cpu_count(threads)

    def work(path: Path) -> Sequence[Found]:
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path, read_dictionary=["severity", "bundle_id"])
            for _ in file.iter_batches(batch_size=1 << 17, columns=[*_COLUMNS], use_threads=False):
                pass
            return []
        reader = pa.csv.open_csv(
            path,
            read_options=pa.csv.ReadOptions(block_size=16 << 20),
            convert_options=pa.csv.ConvertOptions(
                include_columns=_COLUMNS, column_types=dict.fromkeys(_COLUMNS, pa.binary())
            ),
        )
        for _ in reader:
            pass
        return []

    return work
