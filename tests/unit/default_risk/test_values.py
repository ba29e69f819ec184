"""Values: numbers, what is missing, and what is neither, the same from every format."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.default_risk.values import MISSING, Numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_text_and_numbers_are_read_alike(values: list[float]) -> None:
    """What a CSV file spells is bit for bit what Parquet, JSON and a workbook hold."""
    text = Numbers.of(pa.array([repr(value) for value in values], pa.string()))
    assert text.problems == {}
    assert text.values.tobytes() == Numbers.of(pa.array(values, pa.float64())).values.tobytes()


@pytest.mark.parametrize("text", [*MISSING, " NM ", "NaN", "INF", None])
def test_what_has_no_meaningful_number_is_missing(text: str | None) -> None:
    """NM, blank, NaN and infinity are no numbers, and no mistakes."""
    numbers = Numbers.of(pa.array([text, "1"], pa.string()))
    assert math.isnan(numbers.values[0])
    assert numbers.problems == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("12,5", "'12,5' has a decimal comma: write 12.5"),
        ("1,234.5", "'1,234.5' is not a number"),
        ("=1+1", "'=1+1' is not a number"),
        ("12 %", "'12 %' is not a number"),
        ("net_income_margin", "'net_income_margin' is not a number"),
        ("0x10", "'0x10' is not a number"),
        ("1_000", "'1_000' is not a number"),
        ("١٢", "'١٢' is not a number"),
        ("x" * 99, f"'{'x' * 39}…' is not a number"),
    ],
)
def test_everything_else_is_named(text: str, problem: str) -> None:
    """The row hears what stands there; its neighbours are read."""
    numbers = Numbers.of(pa.array(["1", text, "2"], pa.string()))
    assert numbers.problems == {1: problem}
    assert numbers.values[[0, 2]].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None], pa.int16()), [1.0, math.nan]),
        (pa.array([math.inf, 2.0], pa.float32()), [math.nan, 2.0]),
        (pa.array(["3", "NM"]).dictionary_encode(), [3.0, math.nan]),
        (pa.nulls(2), [math.nan, math.nan]),
        (pa.array([1, 2], pa.int64()).cast(pa.decimal128(30, 2)), [1.0, 2.0]),
    ],
)
def test_columns_of_any_numeric_type(column: object, expected: list[float]) -> None:
    """Infinity is missing, null is missing."""
    assert np.array_equal(Numbers.of(column).values, expected, equal_nan=True)


def test_a_column_of_another_type_is_no_number() -> None:
    """Dates are named row by row."""
    numbers = Numbers.of(pa.array([0, 1], pa.date32()))
    assert numbers.problems == {0: "date32[day] is not a number", 1: "date32[day] is not a number"}
