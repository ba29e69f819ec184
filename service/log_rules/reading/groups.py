"""Groups: which group each row of a batch is of, by its values of some columns. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from service.log_rules.episode import GroupKey, Numbers
from service.sources.parquet.text import encoded

_AT_ONCE: Final = 1 << 12
"""Values that Python holds as bytes and as text together."""
_TEXTS: Final = (
    pa.types.is_null,
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
)


class GroupKeys:
    """The groups of a batch: as bytes until one asks for them, since each row may have a group of its own."""

    def __init__(self, columns: Sequence[tuple[Any, Numbers | None]]) -> None:
        """Of each column its distinct values, and the place of each group's among them; None: their order."""
        self._columns = columns

    def __iter__(self) -> Iterator[GroupKey]:
        columns: list[Iterable[str]] = []
        for distinct, places in self._columns:
            known = texts(distinct)
            columns.append(known if places is None else map(known.__getitem__, places.tolist()))
        return zip(*columns, strict=True)


def groups_of(
    columns: Mapping[str, Any], group_by: Sequence[str], rows: int
) -> tuple[Numbers, Iterable[GroupKey]]:
    """Return a number for each row by its values of some columns, and the values behind each number."""
    if not group_by:
        return np.zeros(rows, np.int32), [()]
    first, *others = group_by
    numbers, distinct = _used(columns[first])
    size = len(distinct)
    known: list[tuple[Any, Numbers | None]] = [(distinct, None)]
    for name in others:
        codes, distinct = _used(columns[name])
        count = len(distinct)
        used, numbers = _renumbered(numbers * np.int64(count) + codes, size * count)
        size = used.size
        before = used // count
        known = [(values, before if places is None else places[before]) for values, places in known]
        known.append((distinct, used % count))
    return numbers, GroupKeys(known)


def places_of(column: Any) -> tuple[Numbers, Any]:
    """Return each row's place among the distinct values of a column, and these as bytes; null is empty."""
    distinct, places = encoded(as_text(column))
    if places.size and places.min() < 0:
        places = np.where(places < 0, len(distinct), places)
        distinct = pa.concat_arrays([distinct, pa.nulls(1, distinct.type)])
    return places, distinct


def texts(distinct: Any) -> list[str]:
    """Return bytes as text; null is empty."""
    return [
        (value or b"").decode("utf-8", "replace")
        for first in range(0, len(distinct), _AT_ONCE)
        for value in distinct.slice(first, _AT_ONCE).to_pylist()
    ]


def as_text(column: Any) -> Any:
    """Return a column of any type as one of text or bytes."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if any(is_text(kind) for is_text in _TEXTS):
        return column
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    # Bytes of one length need not be UTF-8 either.
    return column.cast(pa.binary() if pa.types.is_fixed_size_binary(column.type) else pa.string())


def _used(column: Any) -> tuple[Numbers, Any]:
    """Return each row's place among the values that rows of the column have, and these."""
    places, distinct = places_of(column)
    used, numbers = _renumbered(places, len(distinct))
    if used.size < len(distinct):
        # A dictionary may hold many values that no matched row has.
        indices = pa.Array.from_buffers(pa.int64(), used.size, [None, pa.py_buffer(used)])
        distinct = distinct.take(indices)
    return numbers, distinct


def _renumbered(numbers: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Return which numbers below `size` there are, sorted, and the place of each row's among them."""
    if size > max(4 * numbers.size, 1_024):
        used, places = np.unique(numbers, return_inverse=True)
        return used.astype(np.int64), places
    is_used = np.zeros(size, np.bool_)
    is_used[numbers] = True
    used = np.flatnonzero(is_used)
    return used, numbers if used.size == size else (np.cumsum(is_used, dtype=np.int32) - 1)[numbers]
