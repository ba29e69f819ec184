"""The batch: rows as they are read, and how much is read at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from service.domain.errors import SourceNotParquetError
from service.sources.parquet.columns import Ints
from service.sources.parquet.footer import BATCH_BYTES, RowGroup
from service.sources.parquet.text import check_dictionaries

_MEGABYTE: Final = 1 << 20
READ_BYTES: Final = _MEGABYTE
"""How much of a column chunk is read from storage at once."""
PREFETCH_BYTES: Final = 32 * _MEGABYTE
"""How much of a row group may be fetched from remote storage ahead of its turn."""
_GROUPS: Final = 64
"""So many row groups are read as one at most, so that an evaluation that is stopped ends soon."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file that follow each other, as they are read."""

    file: int
    """Place of the file in the source's list."""
    file_name: str
    """Path inside the source."""
    first_row: int
    """Place of the first of these rows in the file."""
    columns: Any
    """`pyarrow.RecordBatch`."""

    def rows(self, places: Ints) -> Any:
        """Return the rows at some places of the batch; raises SourceNotParquetError if one is damaged."""
        try:
            return check_dictionaries(self.columns.take(pa.array(places)))
        except ValueError as error:
            raise SourceNotParquetError(f"{self.file_name} cannot be read as Parquet: {error}") from error


def stretches(groups: Iterable[RowGroup]) -> list[list[RowGroup]]:
    """Part row groups into what is read by one reader: a row group, or several small ones that make a batch.

    Where row groups have a few thousand rows, what is done once for each reader and batch would take longer
    than the reading itself.
    """
    found: list[list[RowGroup]] = []
    for group in groups:
        if found and _make_a_batch([*found[-1], group]):
            found[-1].append(group)
        else:
            found.append([group])
    return found


def _make_a_batch(groups: list[RowGroup]) -> bool:
    before, last = groups[-2:]
    return (
        len(groups) <= _GROUPS
        and (before.file, before.index + 1, before.dictionaries) == (last.file, last.index, last.dictionaries)
        and sum(group.rows for group in groups) <= min(group.batch_rows for group in groups)
        and sum(group.key_bytes + group.attribute_bytes for group in groups) <= BATCH_BYTES
    )
