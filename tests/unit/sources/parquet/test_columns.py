"""The columns: whatever type a writer chose, the same values come out."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sources.parquet.columns import (
    INSTANT_LIMIT,
    as_nanoseconds,
    days,
    instants,
    known_days,
    whole_seconds,
)
from service.sources.parquet.text import encoded, identifiers, texts

FIRST_SECOND = int(dt.datetime(1990, 1, 1, tzinfo=dt.UTC).timestamp())
LAST_SECOND = FIRST_SECOND + (1 << 31) - 3


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
def test_instants_are_nanoseconds_in_utc(unit: str, zone: str | None) -> None:
    """Unit and zone change how an instant is written, not when it is; naive is UTC."""
    second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    packed = instants(pa.array([7 * second, None, -second], pa.timestamp(unit, zone)))
    assert packed.tolist() == [INSTANT_LIMIT + 7 * 10**9, 1, INSTANT_LIMIT - 10**9]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_instants_saturate_in_order(unit: str) -> None:
    """However far away, an instant stays an instant: above null, and fit for one more bit beside it."""
    packed = instants(pa.array([None, -(2**62) - 2**61, 0, 2**62 + 2**61], pa.timestamp(unit)))
    assert packed.tolist() == sorted(packed.tolist())
    assert packed.tolist()[:2] == [1, 2]
    assert int(packed[-1]) < 1 << 63


@given(
    values=st.lists(st.none() | st.integers(FIRST_SECOND - 3, LAST_SECOND + 3) | st.integers(0, 2**62)),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
    fraction=st.integers(0, 1),
)
def test_whole_seconds_are_the_same_instants_in_half_the_bytes(
    values: list[int | None], unit: str, fraction: int
) -> None:
    """There and back they are what `instants` says; where 32 bits will not do, there are none."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    most = (1 << 63) - 1
    told = [None if one is None else min(one * per_second + fraction, most) for one in values]
    column = pa.array([None, *told], pa.timestamp(unit)).slice(1)
    seconds = whole_seconds(column)
    fit = [
        one is None or (one % per_second == 0 and FIRST_SECOND <= one // per_second <= LAST_SECOND)
        for one in told
    ]
    assert (seconds is not None) == all(fit)
    if seconds is not None:
        assert (as_nanoseconds(seconds << np.uint32(1)) >> np.uint64(1)).tolist() == instants(column).tolist()


@pytest.mark.parametrize(
    "kind", [pa.date32(), pa.date64(), *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns"))], ids=str
)
def test_days_of_any_type(kind: pa.DataType) -> None:
    """A day before 1970 is floored, not cut; a slice is read from its own beginning."""
    day = dt.date(1969, 12, 31)
    column = pa.array([dt.date(2000, 1, 1), day, None], pa.date32()).cast(kind).slice(1)
    assert days(column).tolist()[0] == -1
    assert known_days(column).to_pylist() == [day, None]


def test_zoned_days_are_wall_dates() -> None:
    """Midnight on the wall is another day in UTC."""
    midnight = dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=13)))
    column = pa.array([midnight], pa.timestamp("us", "Pacific/Auckland"))
    assert known_days(column).to_pylist() == [dt.date(2026, 1, 1)]


def test_days_that_cannot_be_shown_are_unknown() -> None:
    """Python's calendar ends with the year 9999."""
    assert known_days(pa.array([10**9], pa.date32())).to_pylist() == [None]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_text_of_any_type(kind: pa.DataType) -> None:
    """Text is text, and null stays null."""
    column = pa.array(["a", None, "b", "a"]).cast(kind)
    assert texts(column).to_pylist() == ["a", None, "b", "a"]
    distinct, places = encoded(column)
    values = [*distinct.to_pylist(), None]
    assert [values[place] for place in places.tolist()] == [b"a", None, b"b", b"a"]


def test_a_column_of_nothing_but_null() -> None:
    """The type null is text, a date and an instant without any value."""
    column = pa.nulls(2)
    assert texts(column).to_pylist() == [None, None]
    assert known_days(column).to_pylist() == [None, None]
    assert instants(column).tolist() == [1, 1]
    assert np.array_equal(encoded(column)[1], [-1, -1])


def test_escaped_ids_can_be_told_apart() -> None:
    """Whatever the bytes, escaping can be undone, so no two ids come out alike."""
    ids = [b"\\x5c", b"\\", b"\xff", b"\\xff", b"\0", b"\\x00", b"\\\xff", "\u00e9".encode(), b"\xe9"]
    shown = identifiers(pa.array(ids, pa.large_binary()))
    assert len(set(shown)) == len(ids)
    assert shown[7] == "é"
