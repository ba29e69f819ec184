"""The columns: whatever type a writer chose, the same values come out."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from service.sources.parquet.columns import days, known_days
from service.sources.parquet.instants import instants
from service.sources.parquet.text import encoded, identifiers, texts


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
