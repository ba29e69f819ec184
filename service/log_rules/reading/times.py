"""Times: what a log writes down as the instant of an event, as microseconds since 1970 in UTC. Pure.

Texts are read in columns of bytes, those of one length at once, so that a bad value costs no other anything.
Instants without a zone are UTC; digits beyond microseconds are cut.
"""

from contextlib import suppress
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.log_rules.episode import Instants, Mask
from service.log_rules.rule import END_US, FIRST_US, microseconds
from service.sources.parquet.columns import integers, valid

Bytes: TypeAlias = npt.NDArray[np.uint8]

_SECOND: Final = 1_000_000
_PER_UNIT: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_EPOCHS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
"""Microseconds of one."""
_MOST: Final = (1 << 63) - 1
_LONGEST: Final = 40
"""Characters of the longest text that is taken for an instant."""
_DATE, _HOURS, _MINUTES, _SECONDS = 10, 13, 16, 19
"""Lengths of `2026-01-31`, `2026-01-31T10`, `2026-01-31T10:00` and `2026-01-31T10:00:00`."""
INSTANT: Final = pa.timestamp("us")
"""Texts of `iso8601` may be read as this: what Arrow takes for one, never with a zone, it reads as we do."""
_ZONED: Final = 23
"""From this length on no text has a zone and lacks seconds, as Arrow allows."""
_ZONES: Final = (1, 3, 5, 6)
"""Lengths of `Z`, `+02`, `+0200` and `+02:00`."""


class TimeStatus(IntEnum):
    """What became of a written time."""

    OK = 0
    NULL = 1
    UNPARSABLE = 2
    OUT_OF_RANGE = 3
    """Outside the years 1 to 9999."""


Statuses: TypeAlias = npt.NDArray[np.int8]


def parsed_times(column: Any, form: str) -> tuple[Instants, Statuses]:
    """Return the instant of each value, and whether it is one; `form` is as in `LogSource.time_format`."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary())
    us, is_time = _parsed(column, form)
    status = np.zeros(us.size, np.int8)
    if us.size and (us.min() < FIRST_US or us.max() >= END_US):
        status[(us < FIRST_US) | (us >= END_US)] = TimeStatus.OUT_OF_RANGE
    if not is_time.all():
        status[~is_time] = TimeStatus.UNPARSABLE
    known = valid(column)
    if known is not None:
        status[~known] = TimeStatus.NULL
    if _is_text(column.type) and not is_time.all():
        lengths = pc.binary_length(column).fill_null(0)
        status[lengths.to_numpy(zero_copy_only=False) == 0] = TimeStatus.NULL
    return us, status


def _parsed(column: Any, form: str) -> tuple[Instants, Mask]:
    kind, size = column.type, len(column)
    if pa.types.is_null(kind):
        return np.zeros(size, np.int64), np.zeros(size, np.bool_)
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
        kind = column.type
    if pa.types.is_timestamp(kind):
        return _scaled(integers(column, np.int64), kind.unit), np.ones(size, np.bool_)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.string())
    if _is_text(column.type):
        return _texts(column, form)
    per = _EPOCHS.get(form, _SECOND)
    if pa.types.is_integer(kind):
        values = column.fill_null(0).to_numpy(zero_copy_only=False)
        if pa.types.is_uint64(kind):
            values = np.minimum(values, np.uint64(_MOST))
        values = values.astype(np.int64, copy=False)
        near = np.clip(values, FIRST_US // per - 1, END_US // per + 1)
        return near * per, np.ones(size, np.bool_)
    if pa.types.is_floating(kind):
        floats = column.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
        near = np.clip(np.nan_to_num(floats), FIRST_US / per - 1, END_US / per + 1)
        return np.rint(near * per).astype(np.int64), ~np.isnan(floats)
    return np.zeros(size, np.int64), np.zeros(size, np.bool_)


def _is_text(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _scaled(values: Instants, unit: str) -> Instants:
    if unit == "us":
        return values
    if unit == "ns":
        return values // 1_000
    per = _PER_UNIT[unit]
    return np.clip(values, FIRST_US // per - 1, END_US // per + 1) * per


def _texts(column: Any, form: str) -> tuple[Instants, Mask]:
    if form not in _EPOCHS and form != "iso8601":
        return _by_pattern(column, form)
    if form == "iso8601":
        us = _all_iso(column)
        if us is not None:
            return us, np.ones(us.size, np.bool_)
    column = column.cast(pa.large_binary())
    starts = np.frombuffer(column.buffers()[1], np.int64, len(column) + 1, column.offset * 8)
    content = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    lengths = np.diff(starts)
    us, good = np.zeros(len(column), np.int64), np.zeros(len(column), np.bool_)
    present = np.bincount(np.minimum(lengths, _LONGEST + 1), minlength=1)
    present[0] = 0
    for length in np.flatnonzero(present[: _LONGEST + 1]).tolist():
        rows = np.flatnonzero(lengths == length)
        if rows.size == len(column):
            signs = content[starts[0] : starts[-1]].reshape(rows.size, length)
        else:
            signs = content[starts[rows, None] + np.arange(length)]
        # Column by column: each sign of all rows lies together.
        signs = np.ascontiguousarray(signs.T)
        if form == "iso8601":
            us[rows], good[rows] = _iso(signs)
        else:
            us[rows], good[rows] = _numbers(signs, _EPOCHS[form])
    return us, good


def _all_iso(column: Any) -> Instants | None:
    """Read texts as Arrow does, which is several times as fast; None unless it reads every one as we do."""
    text, us = column.cast(pa.string()), None
    with suppress(pa.ArrowInvalid):
        us = text.cast(INSTANT)
    if us is None and (pc.min(pc.binary_length(column)).as_py() or 0) >= _ZONED:
        with suppress(pa.ArrowInvalid):
            us = text.cast(pa.timestamp("us", "UTC"))
    return None if us is None else integers(us, np.int64)


def _iso(signs: Bytes) -> tuple[Instants, Mask]:
    """Read texts of one length, given as rows of signs, as ISO 8601 in its long form."""
    length, rows = signs.shape
    us, good = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    if length not in {_DATE, _HOURS, _MINUTES} and length < _SECONDS:
        return us, good
    year, good_year = _digits(signs[:4])
    month, good_month = _digits(signs[5:7])
    day, good_day = _digits(signs[8:10])
    good = good_year & good_month & good_day & _are(signs[4], b"-") & _are(signs[7], b"-")
    good &= (month >= 1) & (month <= 12) & (day >= 1)  # noqa: PLR2004  # months of a year
    months = (year * 12 + (month - 1) - 1970 * 12) * good
    first, following = (_days(months), _days(months + 1))
    good &= first + day <= following
    us = (first + day - 1) * (86_400 * _SECOND)
    if length == _DATE:
        return us, good
    hour, good_hour = _digits(signs[11:13])
    good &= _are(signs[10], b"T t") & good_hour & (hour < 24)  # noqa: PLR2004  # as clocks have it
    us += hour * (3_600 * _SECOND)
    if length == _HOURS:
        return us, good
    minute, good_minute = _digits(signs[14:16])
    good &= _are(signs[13], b":") & good_minute & (minute < 60)  # noqa: PLR2004  # as clocks have it
    us += minute * (60 * _SECOND)
    if length == _MINUTES:
        return us, good
    second, good_second = _digits(signs[17:19])
    good &= _are(signs[16], b":") & good_second & (second < 60)  # noqa: PLR2004  # as clocks have it
    us += second * _SECOND
    if length > _SECONDS:
        more, good_rest = _rest(signs[_SECONDS:])
        us += more
        good &= good_rest
    return us, good


def _rest(signs: Bytes) -> tuple[Instants, Mask]:
    """Read what follows the seconds: a fraction, a zone, or both."""
    length, rows = signs.shape
    zone = np.zeros(rows, np.int64)
    for size in _ZONES:
        if size <= length:
            is_here = _are(signs[length - size], b"Zz" if size == 1 else b"+-")
            zone[is_here & (zone == 0)] = size
    us, good = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    for size in np.flatnonzero(np.bincount(zone)).tolist():
        here = zone == size
        each = signs if here.all() else np.ascontiguousarray(signs[:, here])
        fraction, good_fraction = _fraction(each[: length - size])
        offset, good_offset = _offset(each[length - size :])
        us[here] = fraction - offset
        good[here] = good_fraction & good_offset
    return us, good


def _fraction(signs: Bytes) -> tuple[Instants, Mask]:
    """Read `.384516`, or nothing, as microseconds; further digits are cut."""
    length, rows = signs.shape
    if not length:
        return np.zeros(rows, np.int64), np.ones(rows, np.bool_)
    _, good = _digits(signs[1:])
    value, _ = _digits(signs[1:7])
    good &= _are(signs[0], b".,") & (length > 1)
    return value * 10 ** max(7 - length, 0), good


def _offset(signs: Bytes) -> tuple[Instants, Mask]:
    length, rows = signs.shape
    if length <= 1:
        return np.zeros(rows, np.int64), np.ones(rows, np.bool_)
    hours, good = _digits(signs[1:3])
    minutes = np.zeros(rows, np.int64)
    if length > 3:  # noqa: PLR2004  # there are minutes behind the hours
        minutes, good_minutes = _digits(signs[-2:])
        good &= good_minutes & (minutes < 60)  # noqa: PLR2004  # as clocks have it
    if length == 6:  # noqa: PLR2004  # +02:00
        good &= _are(signs[3], b":")
    good &= hours < 24  # noqa: PLR2004  # as clocks have it
    return np.where(signs[0] == ord("-"), -1, 1) * (hours * 60 + minutes) * (60 * _SECOND), good


def _numbers(signs: Bytes, per: int) -> tuple[Instants, Mask]:
    """Read decimal numbers of `per` microseconds each, with a point or a comma, or with neither."""
    length, rows = signs.shape
    us, good = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    negative = signs[0] == ord("-")
    is_point = (signs == ord(".")) | (signs == ord(","))
    point = np.where(is_point.any(axis=0), is_point.argmax(axis=0), length) * 2 + negative
    for place in np.flatnonzero(np.bincount(point)).tolist():
        here = point == place
        each = signs if here.all() else np.ascontiguousarray(signs[:, here])
        end, is_negative = divmod(place, 2)
        if not 0 < end - is_negative <= 18:  # noqa: PLR2004  # digits that 63 bits hold for sure
            continue
        whole, good_whole = _digits(each[is_negative:end])
        fraction, good_fraction = _fraction(each[end:])
        near = np.minimum(whole, END_US // per + 1)
        value = near * per + fraction * per // _SECOND
        us[here] = -value if is_negative else value
        good[here] = good_whole & good_fraction
    return us, good


def _digits(signs: Bytes) -> tuple[Instants, Mask]:
    """Return the number that these signs are, and whether all are digits."""
    rows = signs.shape[1]
    value, good = np.zeros(rows, np.int64), np.ones(rows, np.bool_)
    for sign in signs:
        digit = sign - np.uint8(ord("0"))
        good &= digit <= 9  # noqa: PLR2004  # what is below `0` has wrapped
        value *= 10
        value += digit
    return value, good


def _are(signs: Bytes, any_of: bytes) -> Mask:
    found: Mask = signs == any_of[0]
    for one in any_of[1:]:
        found |= signs == one
    return found


def _days(months: Instants) -> Instants:
    """Return the days since 1970 of the first day of months since 1970."""
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)


def _by_pattern(column: Any, pattern: str) -> tuple[Instants, Mask]:
    """Read each distinct text with a pattern of strptime."""
    encoded = column.cast(pa.binary()).fill_null(b"").dictionary_encode()
    values = [_strptime(text, pattern) for text in encoded.dictionary.to_pylist()]
    known = np.array([value is not None for value in values], np.bool_)
    us = np.array([value or 0 for value in values], np.int64)
    places = encoded.indices.to_numpy()
    return us[places], known[places]


def _strptime(text: bytes, pattern: str) -> int | None:
    try:
        return microseconds(datetime.strptime(text.decode(), pattern))  # noqa: DTZ007  # without a zone it is UTC
    except (ValueError, OverflowError):
        return None
