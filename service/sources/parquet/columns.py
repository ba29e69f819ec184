"""Columns become plain numbers: beyond this module nobody sees of which Arrow type they were."""

import datetime as dt
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.sources.parquet.zones import wall_seconds

Ints: TypeAlias = npt.NDArray[np.int64]
Packed: TypeAlias = npt.NDArray[np.uint64]
Halved: TypeAlias = npt.NDArray[np.uint32]
"""The same as `Packed`, where 32 bits will do."""
Mask: TypeAlias = npt.NDArray[np.bool_]

_PER_DAY: Final = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Of each unit."""

_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_FIRST_DAY: Final = dt.date.min.toordinal() - _EPOCH
_LAST_DAY: Final = dt.date.max.toordinal() - _EPOCH


def valid(column: Any) -> Mask | None:
    """Return which values of `column` are not null, or None where all are."""
    if column.null_count == 0:
        return None
    mask: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    return mask


def integers(column: Any, dtype: Any) -> Any:
    """View the values of a fixed-width column without copying; what stands at nulls is arbitrary."""
    values = column.buffers()[1]
    if values is None:
        return np.zeros(len(column), dtype)
    width = np.dtype(dtype).itemsize
    return np.frombuffer(values, dtype, len(column), column.offset * width)


def days(column: Any) -> Any:
    """Return the wall date of each value in days since 1970; arbitrary at nulls."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.int32)
    if pa.types.is_date32(kind):
        return integers(column, np.int32)
    if pa.types.is_date64(kind):
        return integers(column, np.int64) // _PER_DAY["ms"]
    values = integers(column, np.int64)
    if kind.tz is None:
        return values // _PER_DAY[kind.unit]
    return wall_seconds(values // (NANOSECONDS["s"] // NANOSECONDS[kind.unit]), kind.tz) // _PER_DAY["s"]


def known_days(column: Any) -> Any:
    """Return wall dates as date32; what lies outside the years 1 to 9999 cannot be shown, and is null."""
    day = days(column)
    shown = (day >= _FIRST_DAY) & (day <= _LAST_DAY)
    present = valid(column)
    if pa.types.is_null(column.type):
        shown[:] = False
    elif present is not None:
        shown &= present
    return pa.array(np.where(shown, day, 0).astype(np.int32), mask=~shown).cast(pa.date32())
