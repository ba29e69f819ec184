"""Made-up logs: the sample log's rows, sparse or dense, as CSV or as Parquet with timestamps."""

import argparse
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.cli.logs.sample_log import SCHEMA, sample_log, write_sample_log


def main() -> None:
    """Write one log, unless it is there already."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_log")
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--fatal", type=float, required=True)
    parser.add_argument("--needed-columns-only", action="store_true")
    arguments = parser.parse_args()
    path, day = arguments.path, date(2026, 1, 1)
    if path.exists():
        return
    partial = path.with_name(f"_{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".parquet":
        write_sample_log(partial, rows=arguments.rows, day=day, seed=1, fatal=arguments.fatal)
    else:
        place = SCHEMA.get_field_index("date")
        schema = SCHEMA.set(place, pa.field("date", pa.timestamp("us")))
        if arguments.needed_columns_only:
            schema = pa.schema([schema.field(name) for name in ("severity", "bundle_id", "date")])
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for table in sample_log(rows=arguments.rows, day=day, seed=1, fatal=arguments.fatal):
                writer.write_table(table.select(schema.names).cast(schema))
    partial.rename(path)


if __name__ == "__main__":
    main()
