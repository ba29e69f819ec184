"""ARR: the exact amount, whichever type a source keeps it in, as columns that can be sorted and compared.

An amount is its floor, a 64-bit integer, and the decimal digits of what is left, which sort like the fraction
that they are: `125` before `25` before `5`.
"""

from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa

_EXACT: Final = Context(prec=1_200)
"""Enough digits for any 64-bit float."""
_INT64: Final = np.iinfo(np.int64)
_DIGITS: Final = 18
"""Of a number of 64 bits, behind its first one."""
_HALF: Final = "5"


def arr_columns(column: Any) -> dict[str, Any]:
    """Return `arr` (rounded half away from zero), and exactly `arr_floor` and `arr_fraction` (null for none).

    All are null where the ARR is unknown: null, NaN, or beyond 64 bits, for which `arr_out_of_range` is true.
    """
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        whole = column.cast(pa.int64())
        return {
            "arr": whole,
            "arr_floor": whole,
            "arr_fraction": pa.nulls(len(whole), pa.string()),
            "arr_out_of_range": pa.nulls(len(whole), pa.bool_()),
        }
    values = column.to_pylist()
    parts = {value: _parts(value) for value in set(values)}
    columns = list(zip(*(parts[value] for value in values), strict=True)) or [(), (), (), ()]
    kinds = pa.int64(), pa.int64(), pa.string(), pa.bool_()
    names = "arr", "arr_floor", "arr_fraction", "arr_out_of_range"
    return {name: pa.array(found, kind) for name, found, kind in zip(names, columns, kinds, strict=True)}


def _parts(value: Any) -> tuple[int | None, int | None, str | None, bool | None]:
    if value is None or value != value:  # noqa: PLR0124  # NaN, which is as good as null
        return None, None, None, None
    exact = Decimal(value)
    # Looked at first: making a whole number of 1e999999999 would take for ever.
    if exact.is_finite() and exact.adjusted() <= _DIGITS:
        floor = exact.to_integral_value(ROUND_FLOOR)
        fraction = f"{_EXACT.subtract(exact, floor):f}"[2:].rstrip("0")
        up = fraction > _HALF or (fraction == _HALF and floor >= 0)
        whole = int(floor)
        if _INT64.min <= whole and whole + up <= _INT64.max:
            return whole + up, whole, fraction or None, None
    return None, None, None, True
