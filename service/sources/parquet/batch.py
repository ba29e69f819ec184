"""The batch: some rows of a row group as they are read, and how much is read at once."""

from dataclasses import dataclass
from typing import Any, Final

from service.sources.parquet.footer import RowGroup

_MEGABYTE: Final = 1 << 20
READ_BYTES: Final = _MEGABYTE
"""How much of a column chunk is read from storage at once."""
PREFETCH_BYTES: Final = 32 * _MEGABYTE
"""How much of a row group may be fetched from remote storage ahead of its turn."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one row group, as they are read."""

    group: RowGroup
    file_name: str
    """Path inside the source."""
    first_row: int
    """Place of the first of these rows in its row group."""
    columns: Any
    """`pyarrow.RecordBatch`."""
