"""Made-up logs: the sample log's rows, sparse or dense, as CSV or as Parquet with timestamps."""

import argparse
import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from service.cli.logs.sample_log import SCHEMA, sample_log, write_sample_log

_MOST: Final = 20_000_000
"""More rows than that are not made up one by one, but `_PART` of them."""
_PART: Final = 2_000_000
_DAY_US: Final = 86_400_000_000


def main() -> None:
    """Write one log, unless it is there already."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_log")
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--fatal", type=float, required=True)
    parser.add_argument("--needed-columns-only", action="store_true")
    parser.add_argument("--as-pandas", action="store_true", help="quotes only where CSV needs them")
    arguments = parser.parse_args()
    path, day = arguments.path, date(2026, 1, 1)
    if path.exists():
        return
    partial = path.with_name(f"_{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if arguments.as_pandas:
        with partial.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(SCHEMA.names)
            for table in _tables(arguments.rows, day, arguments.fatal, SCHEMA.names):
                writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    elif path.suffix != ".parquet":
        write_sample_log(partial, rows=arguments.rows, day=day, seed=1, fatal=arguments.fatal)
    else:
        place = SCHEMA.get_field_index("date")
        schema = SCHEMA.set(place, pa.field("date", pa.timestamp("us")))
        if arguments.needed_columns_only:
            schema = pa.schema([schema.field(name) for name in ("severity", "bundle_id", "date")])
        with pq.ParquetWriter(partial, schema, compression="zstd") as parquet:
            for table in _tables(arguments.rows, day, arguments.fatal, schema.names):
                parquet.write_table(table.cast(schema))
    partial.rename(path)


def _tables(rows: int, day: date, fatal: float, columns: list[str]) -> Iterator[pa.Table]:
    """Yield columns of a day's rows in the order of their times.

    Of very many rows only the first part is made up: the same comes again and again, each time squeezed into
    a later part of the day.
    """
    parts = rows // _PART if rows > _MOST else 1
    made = (table.select(columns) for table in sample_log(rows=rows // parts, day=day, seed=1, fatal=fatal))
    if parts == 1:
        yield from made
        return
    tables = list(made)
    place = columns.index("date")
    texts = [table["date"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy() for table in tables]
    midnight = int(texts[0][0]) // _DAY_US * _DAY_US
    for part in range(parts):
        for table, us in zip(tables, texts, strict=True):
            moved = pa.array(midnight + (part * _DAY_US + us - midnight) // parts)
            yield table.set_column(place, "date", moved.cast(pa.timestamp("us")))


if __name__ == "__main__":
    main()
