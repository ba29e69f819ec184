"""The groups of a batch: a number for each row, and the values behind it once somebody asks for them."""

import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.log_rules.reading.groups import groups_of

COLUMNS = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.tuples(*[st.sampled_from([None, b"", b"a", b"b", b"\xff"])] * width), min_size=1
    )
)


@given(rows=COLUMNS, encode=st.booleans())
def test_each_row_is_of_the_group_of_its_values(
    *, rows: list[tuple[bytes | None, ...]], encode: bool
) -> None:
    """Null is empty, what is no UTF-8 is replaced, and values that no row has are no groups."""
    names = [f"c{place}" for place in range(len(rows[0]))]
    whole = {
        name: pa.array([b"never", *values], pa.binary())
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    columns = {name: (array.dictionary_encode() if encode else array)[1:] for name, array in whole.items()}
    numbers, groups = groups_of(columns, names, len(rows))
    keys = list(groups)
    assert keys == list(groups)
    assert [keys[number] for number in numbers] == [
        tuple((value or b"").decode("utf-8", "replace") for value in row) for row in rows
    ]
    assert {*range(len(keys))} == {*numbers.tolist()}


@pytest.mark.parametrize("index", [pa.int16(), pa.int32(), pa.int64()])
def test_most_of_a_large_dictionary_is_let_go_of(index: pa.DataType) -> None:
    """A row group has one for all its rows, of which a few may match."""
    distinct = pa.array([f"g{place}" for place in range(5_000)])
    for places in ([4_999], [7, None, 3, 7], list(range(0, 5_000, 3))):
        column = pa.DictionaryArray.from_arrays(pa.array(places, index), distinct)
        numbers, groups = groups_of({"a": column, "b": column}, ("b", "a"), len(places))
        keys = list(groups)
        assert [keys[number] for number in numbers] == [
            ("", "") if place is None else (f"g{place}",) * 2 for place in places
        ]


def test_groups_are_no_objects_until_one_asks_for_them() -> None:
    """In a batch that waits each row may have a group of its own."""
    rows = 20_000
    columns = {"a": pa.array([f"com.example.{place}" for place in range(rows)]), "b": pa.array(["x"] * rows)}
    groups_of(columns, ("a", "b"), rows)
    tracemalloc.start()
    try:
        _, groups = groups_of(columns, ("a", "b"), rows)
        assert tracemalloc.get_traced_memory()[0] < 40 * rows
        keys = list(groups)
        assert tracemalloc.get_traced_memory()[0] > 100 * rows
    finally:
        tracemalloc.stop()
    assert keys[-1] == (f"com.example.{rows - 1}", "x")
