"""Time zones: what a wall clock showed at an instant, in every zone that a file may name.

Arrow knows neither all names that writers use nor any summer time after 2037, so Python's zones are asked.
"""

import datetime as dt
import re
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

_UTC_NAMES: Final = frozenset({"UTC", "GMT", "Z", "ZULU"})
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?([+-])(\d\d?)(?::?([0-5]\d))?", re.ASCII | re.IGNORECASE)
_A_DAY: Final = 86_400
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_SECOND: Final = int((dt.datetime(1, 1, 3, tzinfo=dt.UTC) - _EPOCH).total_seconds())
_LAST_SECOND: Final = int((dt.datetime(9999, 12, 29, tzinfo=dt.UTC) - _EPOCH).total_seconds())


@lru_cache(maxsize=1_000)
def zone(name: str) -> dt.tzinfo | None:
    """Return the zone of this name, such as `Europe/Berlin`, `utc` or `UTC+3`; None if there is none."""
    if name.upper() in _UTC_NAMES:
        return dt.UTC
    offset = _OFFSET.fullmatch(name)
    try:
        if offset is None:
            return ZoneInfo(name)
        ahead = dt.timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return dt.timezone(ahead if offset[1] == "+" else -ahead)
    except (KeyError, ValueError, OSError):
        return None


def wall_seconds(seconds: Any, name: str) -> Any:
    """Turn seconds since 1970 in UTC into those of the wall clock in a zone, which must exist."""
    where = zone(name)
    if where is None:
        raise ValueError(f"no time zone {name!r}")
    if isinstance(where, dt.timezone):
        return seconds + _offset(where, 0)
    days = pa.array(seconds // _A_DAY).dictionary_encode()
    each = [day * _A_DAY for day in days.dictionary.to_pylist()]
    first = np.array([_offset(where, second) for second in each], np.int64)
    next_first = np.array([_offset(where, second + _A_DAY) for second in each], np.int64)
    place = days.indices.to_numpy()
    offsets = first.take(place)
    # Days on which the clocks were changed.
    changed = np.flatnonzero((first != next_first).take(place))
    offsets[changed] = [_offset(where, second) for second in seconds[changed].tolist()]
    return seconds + offsets


@lru_cache(maxsize=100_000)
def _offset(where: dt.tzinfo, second: int) -> int:
    """Return how many seconds a zone is ahead of UTC; outside Python's calendar as at its nearer end."""
    instant = _EPOCH + dt.timedelta(seconds=min(max(second, _FIRST_SECOND), _LAST_SECOND))
    return int((instant.astimezone(where).utcoffset() or dt.timedelta()).total_seconds())
