"""Text in a source: bytes that claim to be UTF-8, in any of the forms in which Arrow holds them."""

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sources.parquet.columns import Ints, Mask, integers

_ELLIPSIS: Final = "…".encode()
_LONGEST_CHARACTER: Final = 4
_LOOKS_ESCAPED: Final = re.compile(r"\\(?=x[0-9a-f]{2})")
_ESCAPE: Final = re.compile(r"\\x([0-9a-f]{2})")


def without_views(batch: Any) -> Any:
    """Return the batch with its string views as large strings, as most kernels know no views."""
    for place, kind in enumerate(batch.schema.types):
        if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
            plain = pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary()
            batch = batch.set_column(place, batch.schema.names[place], batch.column(place).cast(plain))
    return batch


def check_dictionaries(batch: Any) -> Any:
    """Return the batch; raises ValueError where a row points beyond its dictionary, as damaged pages do."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            # What stands at nulls is arbitrary. As unsigned numbers, those below 0 are too large as well.
            places = column.indices.drop_null() if column.null_count else column.indices
            unsigned = integers(places, f"u{places.type.bit_width // 8}")
            if unsigned.size and unsigned.max() >= len(column.dictionary):
                raise ValueError(f"{name} points beyond its dictionary")
    return batch


def as_bytes(column: Any) -> Any:
    """Return a text column as binary or large_binary, without a dictionary; its bytes are not checked."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return as_bytes(column.dictionary_decode())
    if pa.types.is_large_binary(kind) or pa.types.is_binary(kind):
        return column
    return column.cast(pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())


def encoded(column: Any) -> tuple[Any, Ints]:
    """Return the distinct values of a text column as bytes, and each row's place among them, -1 if null."""
    if pa.types.is_null(column.type):
        return pa.array([], pa.binary()), np.full(len(column), -1)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    indices = column.indices
    if indices.null_count:
        # Of 64 bits, since indices may be unsigned.
        indices = indices.cast(pa.int64()).fill_null(-1)
    places: Ints = indices.to_numpy(zero_copy_only=False)
    return as_bytes(column.dictionary), places


def shortened(column: Any, most: int) -> tuple[Any, Mask | None]:
    """Cut what is longer than `most` bytes to that, an ellipsis at its end.

    Returns the column, and which of its values were cut, None if none was. A dictionary stays one, so that no
    text is long when there comes to be one for each row.
    """
    if pa.types.is_dictionary(column.type):
        dictionary, cut = shortened(column.dictionary, most)
        if cut is None:
            return column, None
        places = column.indices.cast(pa.int64()).fill_null(-1).to_numpy()
        return pa.DictionaryArray.from_arrays(column.indices, dictionary), np.append(cut, False)[places]
    if pa.types.is_null(column.type):
        return column, None
    data = as_bytes(column)
    lengths = pc.binary_length(data)
    if (pc.max(lengths).as_py() or 0) <= most:
        return column, None
    too_long = pc.fill_null(pc.greater(lengths, most), fill_value=False)
    data = pc.binary_slice(data, 0, most)
    cut_short = [_cut(value, most) for value in data.filter(too_long).to_pylist()]
    data = pc.replace_with_mask(data, too_long, pa.array(cut_short, data.type))
    return data, too_long.to_numpy(zero_copy_only=False)


def _cut(value: bytes, most: int) -> bytes:
    end = most - len(_ELLIPSIS)
    # Not amid a character, which has up to three bytes of 10xxxxxx behind its first.
    ends = (place for place in range(end, end - _LONGEST_CHARACTER, -1) if value[place] & 0xC0 != 0x80)  # noqa: PLR2004
    return value[: next(ends, end)] + _ELLIPSIS


def texts(column: Any) -> Any:
    """Return large_strings: what is not UTF-8, and NUL, which no database takes, become U+FFFD."""
    data = as_bytes(column).cast(pa.large_binary())
    clean = _clean(data)
    if clean is not None:
        return clean
    shown = (
        None if value is None else value.decode(errors="replace").replace("\x00", "\ufffd")
        for value in data.to_pylist()
    )
    return pa.array(shown, pa.large_string())


def identifiers(column: Any) -> list[str]:
    r"""Return account ids (large_binary) as text, a byte that is not UTF-8, or is NUL, escaped as `\xNN`.

    Two different ids never come out alike: a backslash that already looks like such an escape is escaped too.
    """
    clean = _clean(column)
    if clean is not None and not pc.any(pc.match_substring(clean, "\\x")).as_py():
        return list(clean.to_pylist())
    return ["".join(_escaped(value)) for value in column.to_pylist()]


def identified(shown: str) -> bytes:
    """Return the account id that `identifiers` shows so."""
    parts = _ESCAPE.split(shown)
    return b"".join(
        bytes.fromhex(part) if place % 2 else part.encode("utf-8", "surrogatepass")
        for place, part in enumerate(parts)
    )


def _clean(data: Any) -> Any:
    """Return the data as large_string, or None if any of it is not UTF-8 or holds NUL."""
    try:
        clean = data.cast(pa.large_string())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.match_substring(data, b"\x00")).as_py() else clean


def _escaped(value: bytes) -> Iterator[str]:
    # Decoded like this, an invalid byte becomes a lone surrogate that stands for exactly that byte.
    for char in _LOOKS_ESCAPED.sub(r"\\x5c", value.decode(errors="surrogateescape")):
        if char == "\x00":
            yield "\\x00"
        elif "\udc80" <= char <= "\udcff":
            yield f"\\x{ord(char) - 0xDC00:02x}"
        else:
            yield char
