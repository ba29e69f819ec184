"""Instants: numbers that sort like the instants that they stand for, with room for one bit beside them."""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from service.sources.parquet.columns import NANOSECONDS, Halved, Packed, integers, valid

_NULL: Final = np.uint64(1)
_FIRST: Final = 2
"""The earliest instant; 1 stands for null, and 0 is left free to say that there is no row at all."""

# Nanoseconds of all instants that Arrow can hold need more than 63 bits. So they are counted in nanoseconds
# from 1900 to 2100, in microseconds from 384 BC to the year 75167, and in seconds beyond, to 4.5 thousand
# million years before and twice as many after; what lies further away is as far as that.
_NEAR, _FAR = -2_208_988_800, 4_102_444_800
_SPANS: Final = (1 << 57, (1 << 56) // 10**6, _FAR - _NEAR, (1 << 61) // 10**6, 1 << 58)
"""In seconds, from one to the next."""
_PER_SECOND: Final = np.array([1, 10**6, 10**9, 10**6, 1])
_NANOSECONDS_EACH: Final = 10**9 // _PER_SECOND
_STARTS: Final = np.cumsum([_NEAR - _SPANS[0] - _SPANS[1], *_SPANS])
_CODES: Final = np.cumsum([_FIRST, *(np.array(_SPANS) * _PER_SECOND)])
_NEAR_CODE: Final = int(_CODES[2])

_FIRST_SECOND: Final = 631_152_000
"""1990-01-01, from where on whole seconds are counted in 31 bits, until 2058."""
_SECONDS: Final = (1 << 31) - _FIRST


def instants(column: Any) -> Packed:
    """Return each instant, in UTC, as a number below 2 ** 63 that sorts like it, and 1 for null."""
    if pa.types.is_null(column.type):
        return np.full(len(column), _NULL)
    values = integers(column, np.int64)
    each = NANOSECONDS[column.type.unit]
    per_second = 10**9 // each
    if values.size and not _NEAR * per_second <= values.min() <= values.max() < _FAR * per_second:
        seconds = values // per_second
        rest = (values - seconds * per_second) * each
        seconds = np.clip(seconds, _STARTS[0], _STARTS[-1] - 1)
        span = np.searchsorted(_STARTS, seconds, side="right") - 1
        numbers = _CODES[span] + (seconds - _STARTS[span]) * _PER_SECOND[span]
        numbers += rest // _NANOSECONDS_EACH[span]
    else:
        numbers = values * each + (_NEAR_CODE - _NEAR * 10**9)
    packed: Packed = numbers.view(np.uint64)
    present = valid(column)
    if present is not None:
        packed[~present] = _NULL
    return packed


def whole_seconds(column: Any) -> Halved | None:
    """Return the same as `instants` in 32 bits, or None unless all are whole seconds from 1990 to 2058.

    Many writers stamp whole seconds, and half the bytes are half the memory. `widened` leads back.
    """
    if pa.types.is_null(column.type):
        return np.full(len(column), np.uint32(1))
    values = integers(column, np.int64)
    per_second = 10**9 // NANOSECONDS[column.type.unit]
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
    since += _FIRST
    seconds: Halved = since.astype(np.uint32)
    if present is not None:
        seconds[~present] = _NULL
    return seconds


def widened(packed: Packed | Halved) -> Packed:
    """Return numbers `instant << 1 | at_risk` with their instants as `instants` has them; 0 stays 0."""
    if packed.dtype == np.uint64:
        return packed.view(np.uint64)
    wide = packed.astype(np.uint64)
    since = (wide >> np.uint64(1)).view(np.int64) - _FIRST
    instant = ((since + (_FIRST_SECOND - _NEAR)) * 10**9 + _NEAR_CODE).view(np.uint64)
    found: Packed = np.where(since >= 0, instant << np.uint64(1) | wide & np.uint64(1), wide)
    return found
