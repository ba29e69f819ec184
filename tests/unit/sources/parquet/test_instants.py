"""Instants: numbers that sort as the instants do, in whichever unit and however far away these are."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.sources.parquet.instants import instants, whole_seconds, widened

FIRST_SECOND = int(dt.datetime(1990, 1, 1, tzinfo=dt.UTC).timestamp())
LAST_SECOND = FIRST_SECOND + (1 << 31) - 3
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EDGES = [-2_208_988_800, 4_102_444_800, -62_135_596_800, 253_402_300_799, 2**40, -(2**40), 2**57, -(2**56)]
"""Seconds: of 1900, 2100, the first year and the last one, and of years that no calendar has."""


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
def test_instants_are_counted_in_utc(unit: str, zone: str | None) -> None:
    """Unit and zone change how an instant is written, not when it is; naive is UTC."""
    second = UNITS[unit]
    late, null, early = instants(pa.array([7 * second, None, -second], pa.timestamp(unit, zone))).tolist()
    assert (late - early, null) == (8 * 10**9, 1)


@given(
    seconds=st.lists(st.one_of(st.sampled_from(EDGES), st.integers(-(2**60), 2**60)), min_size=2),
    rests=st.lists(st.sampled_from([0, 1, 999_999, 1_000, 999, 5 * 10**8]), min_size=2),
    unit=st.sampled_from(list(UNITS)),
)
@example(seconds=[253_402_300_799, 7_258_118_400], rests=[0, 0], unit="us")
@example(seconds=[-62_135_596_800, -62_135_596_800], rests=[1, 0], unit="us")
def test_instants_sort_however_far_away(seconds: list[int], rests: list[int], unit: str) -> None:
    """To the microsecond in the years that a calendar has, to the second beyond; above null."""
    each = UNITS[unit]
    pairs = zip(seconds, rests, strict=False)
    written = [max(-(2**63), min(second * each + rest % each, 2**63 - 1)) for second, rest in pairs]
    numbers = instants(pa.array([None, *written], pa.timestamp(unit))).tolist()
    assert numbers[0] == 1
    assert all(2 <= number < 2**63 for number in numbers[1:])
    for one, number in zip(written, numbers[1:], strict=True):
        for other, other_number in zip(written, numbers[1:], strict=True):
            calendar = -62_135_596_800 <= one // each <= 253_402_300_799
            step = max(1, each // 10**6) if calendar else each
            assert (number >= other_number) if one >= other else (number <= other_number)
            if abs(one - other) >= step and abs(one // each) < 2**57 and abs(other // each) < 2**57:
                assert number != other_number


@given(second=st.integers(-9_223_372_036, 9_223_372_036))
def test_units_agree(second: int) -> None:
    """The same second is the same number in every unit that can hold it."""
    columns = [pa.array([second * each], pa.timestamp(unit)) for unit, each in UNITS.items()]
    assert len({int(instants(column)[0]) for column in columns}) == 1


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
    written = [None if one is None else min(one * per_second + fraction, most) for one in values]
    column = pa.array([None, *written], pa.timestamp(unit)).slice(1)
    seconds = whole_seconds(column)
    fit = [
        one is None or (one % per_second == 0 and FIRST_SECOND <= one // per_second <= LAST_SECOND)
        for one in written
    ]
    assert (seconds is not None) == all(fit)
    if seconds is not None:
        assert (widened(seconds << np.uint32(1)) >> np.uint64(1)).tolist() == instants(column).tolist()
