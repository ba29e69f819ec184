"""Print how many compressed bytes, in how many column chunks, an evaluation needs of a local file.

The keys of every row group in the window, and the attributes of those that may hold the target month.
"""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

KEYS: Final = ("account_id", "month", "status", "updated_at")
ATTRIBUTES: Final = ("account_name", "account_region", "renewal_date", "account_owner", "arr")


def main() -> None:
    """Read the footer and add up."""
    path, month = Path(sys.argv[1]), date.fromisoformat(sys.argv[2])
    metadata = pq.ParquetFile(path).metadata
    position = {name: metadata.schema.names.index(name) for name in (*KEYS, *ATTRIBUTES)}
    sizes = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        months = group.column(position["month"]).statistics
        names = KEYS + ATTRIBUTES if months.min <= month <= months.max else KEYS
        sizes += [group.column(position[name]).total_compressed_size for name in names]
    print(json.dumps({"bytes": sum(sizes), "chunks": len(sizes), "file": path.stat().st_size}))


if __name__ == "__main__":
    main()
