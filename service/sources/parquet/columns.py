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
_NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}

INSTANT_LIMIT: Final = 1 << 62
"""Instants saturate this many nanoseconds before and after 1970, in the years 1823 and 2116."""
_NULL_INSTANT: Final = np.uint64(1)
_FIRST_SECOND: Final = 631_152_000
"""1990-01-01, from where on whole seconds are counted in 31 bits, until 2058."""
_FIRST_INSTANT: Final = 2
_SECONDS: Final = (1 << 31) - _FIRST_INSTANT

_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_FIRST_DAY: Final = dt.date.min.toordinal() - _EPOCH
_LAST_DAY: Final = dt.date.max.toordinal() - _EPOCH


def valid(column: Any) -> Mask | None:
    """Return which values of `column` are not null, or None where all are."""
    if column.null_count == 0:
        return None
    mask: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    return mask


def _integers(column: Any, dtype: Any) -> Any:
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
        return _integers(column, np.int32)
    if pa.types.is_date64(kind):
        return _integers(column, np.int64) // _PER_DAY["ms"]
    values = _integers(column, np.int64)
    if kind.tz is None:
        return values // _PER_DAY[kind.unit]
    return wall_seconds(values // (_NANOSECONDS["s"] // _NANOSECONDS[kind.unit]), kind.tz) // _PER_DAY["s"]


def instants(column: Any) -> Packed:
    """Return each instant as a number that sorts like it: 1 for null, from 2 upwards for any instant.

    Nanoseconds in UTC, saturating at `INSTANT_LIMIT` so that one more bit fits beside them; 0 is left free to
    say that there is no row at all.
    """
    if pa.types.is_null(column.type):
        return np.full(len(column), _NULL_INSTANT)
    values = _integers(column, np.int64)
    factor = _NANOSECONDS[column.type.unit]
    bound = INSTANT_LIMIT // factor
    if values.size and not 2 - bound <= values.min() <= values.max() < bound:
        # One beyond the bound still fits 64 bits when multiplied, so that all units saturate alike.
        values = np.clip(values, -bound - 1, bound + 1)
        values = np.clip(values * factor, 2 - INSTANT_LIMIT, INSTANT_LIMIT - 1)
    elif factor != 1:
        values = values * factor
    packed: Packed = (values + INSTANT_LIMIT).view(np.uint64)
    present = valid(column)
    if present is not None:
        packed[~present] = _NULL_INSTANT
    return packed


def whole_seconds(column: Any) -> Halved | None:
    """Return the same as `instants` in 32 bits, or None unless all are whole seconds from 1990 to 2058.

    Many writers stamp whole seconds, and half the bytes are half the memory. `as_nanoseconds` leads back.
    """
    if pa.types.is_null(column.type):
        return np.full(len(column), np.uint32(1))
    values = _integers(column, np.int64)
    per_second = _NANOSECONDS["s"] // _NANOSECONDS[column.type.unit]
    present = valid(column)
    if present is not None:
        values = np.where(present, values, _FIRST_SECOND * per_second)
    since = values // per_second
    if per_second > 1 and (since * per_second != values).any():
        return None
    since -= _FIRST_SECOND
    # As unsigned numbers, those before 1990 are too large as well.
    if since.size and since.view(np.uint64).max() >= _SECONDS:
        return None
    since += _FIRST_INSTANT
    seconds: Halved = since.astype(np.uint32)
    if present is not None:
        seconds[~present] = _NULL_INSTANT
    return seconds


def as_nanoseconds(packed: Packed | Halved) -> Packed:
    """Return numbers `instant << 1 | at_risk` with their instants as `instants` has them; 0 stays 0."""
    if packed.dtype == np.uint64:
        return packed.view(np.uint64)
    wide = packed.astype(np.uint64)
    since = (wide >> np.uint64(1)).view(np.int64) - _FIRST_INSTANT
    instant = ((since + _FIRST_SECOND) * _NANOSECONDS["s"] + INSTANT_LIMIT).view(np.uint64)
    found: Packed = np.where(since >= 0, instant << np.uint64(1) | wide & np.uint64(1), wide)
    return found


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
