"""Values: what a file or a request says of a ratio becomes a number, is missing, or is not usable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING: Final = (
    "",
    "nm",
    "na",
    "n/a",
    "n.a.",
    "nan",
    "null",
    "none",
    "-",
    "inf",
    "-inf",
    "+inf",
    "infinity",
    "-infinity",
    *("#n/a", "#div/0!", "#null!", "#num!", "#value!", "#ref!", "#name?"),
)
"""How files spell, in any case, that there is no meaningful number (NM: not meaningful).

The errors of spreadsheets are among them: a workbook's reader gives them as empty cells.
"""
NEGATIVE: Final = "must not be negative"
"""What is wrong with a market capitalisation below 0."""
_NUMBER: Final = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$"
_DECIMAL_COMMA: Final = r"^[+-]?\d*,\d+$"
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers."""

    values: NDArray[np.float64]
    """NaN where there is none."""
    problems: Mapping[int, str] = field(default_factory=dict)
    """By row: why what stands there is neither a number nor missing."""

    @classmethod
    def of(cls, column: Any) -> Self:
        """Read an Arrow array of numbers or texts; JSON, CSV, XLSX and Parquet all come through here."""
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_null(column.type):
            return cls(np.full(len(column), np.nan))
        if (
            pa.types.is_integer(column.type)
            or pa.types.is_floating(column.type)
            or pa.types.is_decimal(column.type)
        ):
            return cls(_finite(column.cast(pa.float64(), safe=False)))
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return cls(
                np.full(len(column), np.nan),
                dict.fromkeys(range(len(column)), f"{column.type} is not a number"),
            )
        text = pc.utf8_trim_whitespace(column)
        absent = pc.or_(pc.is_null(text), pc.is_in(pc.utf8_lower(text), pa.array(MISSING, text.type)))
        good = pc.fill_null(pc.match_substring_regex(text, _NUMBER), pa.scalar(value=False))
        numbers = pc.cast(pc.if_else(good, text, pa.scalar(None, text.type)), pa.float64())
        bad = pc.indices_nonzero(pc.invert(pc.or_(absent, good))).to_pylist()
        return cls(_finite(numbers), {row: _problem(text[row].as_py()) for row in bad})


def _finite(numbers: Any) -> NDArray[np.float64]:
    values = np.array(numbers.to_numpy(zero_copy_only=False), np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def _problem(text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    if pc.match_substring_regex(pa.scalar(text), _DECIMAL_COMMA).as_py():
        return f"{shown!r} has a decimal comma: write {shown.replace(',', '.')}"
    return f"{shown!r} is not a number"
