"""The footer's check: contradictions over which the Parquet library would not raise but end the process.

It also finds how long texts are, which pyarrow does not show.

pyarrow shows row groups and column chunks through C++ constructors that throw where nobody catches, so one
damaged footer would take the whole service down. What they throw over is looked at here first, in the Thrift
structures themselves (github.com/apache/parquet-format: parquet.thrift, and Thrift's compact protocol).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from service.domain.errors import SourceNotParquetError

_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
"""Types of the compact protocol."""
_INTEGERS: Final = frozenset({4, 5, 6})
_TRUTHS: Final = frozenset({1, 2})
_NUMBERS: Final = range(1 << 15)
"""Of fields; the library has 16 bits for them, in which a larger one would be another field's."""
_MORE: Final = 0x80
"""Set in all bytes of a number but its last."""
_LONG: Final = 15
"""Where a list's length stands that is too long for its head."""


def _field(number: int, kind: int) -> int:
    """Return what a field is known by: one that comes with another type is skipped by the library too."""
    return number << 4 | kind


_SCHEMA, _ROW_GROUPS, _ENCRYPTION = _field(2, _LIST), _field(4, _LIST), _field(8, _STRUCT)
_TYPE, _REPETITION, _CHILDREN = _field(1, _I32), _field(3, _I32), _field(5, _I32)
_CHUNKS: Final = _field(1, _LIST)
_META_DATA, _CRYPTO, _ENCRYPTED = _field(3, _STRUCT), _field(8, _STRUCT), _field(9, _BINARY)
_STATISTICS, _PAGES, _SIZES = _field(12, _STRUCT), _field(13, _LIST), _field(16, _STRUCT)
_PAGE_TYPE, _PAGE_ENCODING = _field(1, _I32), _field(2, _I32)
_TEXT_SIZE, _REPEATED_LEVELS, _DEFINED_LEVELS = _field(1, _I64), _field(2, _LIST), _field(3, _LIST)
_BOUNDS: Final = tuple(_field(number, _BINARY) for number in (1, 2, 5, 6))
"""Max and min, as they were once written and as they are now."""

_WIDTHS: Final = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}
"""Bytes of a value, by physical type: BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE."""
_BYTE_ARRAY: Final = 6
_OPTIONAL, _REPEATED = 1, 2
_DICTIONARY_PAGE: Final = 2
_BY_DICTIONARY: Final = frozenset({2, 8})
"""Encodings of pages that hold places in a dictionary: PLAIN_DICTIONARY, RLE_DICTIONARY."""

_Struct = dict[int, Any]
_Leaf = tuple[int, int, int]
"""A column's physical type, and how deep it is defined and repeated."""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """What a footer says of the texts in one column chunk."""

    size: int | None
    """Bytes of all its values, None where the writer did not say."""
    by_dictionary: bool
    """Whether all its pages hold places in a dictionary, as far as the writer said."""


TextChunks: TypeAlias = dict[tuple[int, int], TextChunk]
"""By row group, and by place of the column."""


def check_footer(
    footer: bytes, name: str, *, bounds_of: int | None, texts: Collection[int] = ()
) -> TextChunks:
    """Raise SourceNotParquetError where the library would end the process over the footer of the file `name`.

    `bounds_of` is the place of the column whose statistics will be looked at, `texts` are the places of those
    whose chunks are described.
    """
    chunks: TextChunks = {}
    try:
        problem = _problem_of_footer(_Compact(footer), bounds_of, texts, chunks)
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError):
        # RuntimeError: structures in structures without an end, or a schema's tree that ends early.
        problem = "its footer makes no sense"
    if problem:
        raise SourceNotParquetError(f"{name} is damaged: {problem}")
    return chunks


def _text_chunk(chunk: _Struct) -> TextChunk:
    meta_data = chunk[_META_DATA]
    pages = meta_data.get(_PAGES, ())
    encodings = {page.get(_PAGE_ENCODING) for page in pages if page.get(_PAGE_TYPE) != _DICTIONARY_PAGE}
    return TextChunk(
        meta_data.get(_SIZES, {}).get(_TEXT_SIZE), bool(encodings) and encodings <= _BY_DICTIONARY
    )


def _problem_of_footer(
    footer: "_Compact", bounds_of: int | None, texts: Collection[int], chunks: TextChunks
) -> str:
    """Return what is wrong; puts what is said of texts into `chunks`.

    Row groups are looked at one by one and let go: held together they would be most of the work of Python's
    cycle collector.
    """
    leaves: list[_Leaf] | None = None
    for field in footer.fields():
        if field == _ENCRYPTION:
            return "its footer says that it is encrypted"
        if field == _SCHEMA and leaves is None:
            elements = iter(list(footer.structs()))
            leaves = list(_leaves(elements, next(elements).get(_CHILDREN, 0)))
        elif field == _ROW_GROUPS and leaves is not None:
            for number, group in enumerate(footer.structs()):
                problem = _problem_of_group(number, group[_CHUNKS], leaves, bounds_of)
                if problem:
                    return problem
                chunks |= {(number, place): _text_chunk(group[_CHUNKS][place]) for place in texts}
        elif field in {_SCHEMA, _ROW_GROUPS}:
            # Of two schemas the library would take the second, which the row groups may contradict.
            raise ValueError(field)
    return ""


def _problem_of_group(number: int, chunks: list[_Struct], leaves: list[_Leaf], bounds_of: int | None) -> str:
    if len(chunks) != len(leaves):
        return f"row group {number} has not the columns of the schema"
    for place, (chunk, leaf) in enumerate(zip(chunks, leaves, strict=True)):
        problem = _problem(chunk, leaf) or (place == bounds_of and _problem_of_bounds(chunk, leaf))
        if problem:
            return f"column {place} of row group {number} {problem}"
    return ""


def _leaves(elements: Iterator[_Struct], count: int, defined: int = 0, repeated: int = 0) -> Iterator[_Leaf]:
    """Yield the columns below the next `count` elements of a schema, which lists its tree depth first."""
    for _ in range(count):
        element = next(elements)
        repetition = element.get(_REPETITION)
        deep = defined + (repetition in {_OPTIONAL, _REPEATED}), repeated + (repetition == _REPEATED)
        if element.get(_CHILDREN):
            yield from _leaves(elements, element[_CHILDREN], *deep)
        elif _TYPE in element:
            yield element[_TYPE], *deep


def _problem(chunk: _Struct, leaf: _Leaf) -> str:
    kind, defined, repeated = leaf
    meta_data = chunk.get(_META_DATA)
    if meta_data is None or _CRYPTO in chunk or _ENCRYPTED in chunk:
        return "is encrypted, or not described"
    if meta_data.get(_TYPE) != kind:
        return "is of another type than the schema says"
    sizes = meta_data.get(_SIZES, {})
    if _TEXT_SIZE in sizes and kind != _BYTE_ARRAY:
        return "gives the size of texts, but holds none"
    levels = len(sizes.get(_REPEATED_LEVELS, ())), len(sizes.get(_DEFINED_LEVELS, ()))
    if levels[0] not in {0, repeated + 1} or levels[1] not in {0, defined + 1}:
        return "counts other levels than the schema has"
    return ""


def _problem_of_bounds(chunk: _Struct, leaf: _Leaf) -> str:
    bounds = chunk[_META_DATA].get(_STATISTICS, {})
    width = _WIDTHS.get(leaf[0], 0)
    if any(len(bounds[bound]) < width for bound in _BOUNDS if bound in bounds):
        return "has statistics of another type"
    return ""


class _Compact:
    """Structures in Thrift's compact protocol, read one after the other.

    A footer holds hundreds of values for each row group: what is frequent is read in place, without a call.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def fields(self) -> Iterator[int]:
        """Read a structure field by field: of each, what it is known by.

        Its value is passed over, unless it is a list that is read by `structs` before the next field.
        """
        number = 0
        while head := self._byte():
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._integer()
            if number not in _NUMBERS:
                raise ValueError(number)
            value_at = self._at
            yield number << 4 | kind
            if self._at == value_at and kind not in _TRUTHS:
                self._value(kind)

    def structs(self) -> Iterator[_Struct]:
        """Read a list of structures one by one."""
        size, kind = self._head_of_list()
        if size and kind != _STRUCT:
            raise ValueError(kind)
        for _ in range(size):
            yield self.struct()

    def struct(self) -> _Struct:
        """Read a structure."""
        content, at = self._content, self._at
        fields: _Struct = {}
        number = 0
        while head := content[at]:
            at += 1
            kind = head & 15
            if head >> 4:
                number += head >> 4
            else:
                self._at = at
                number, at = self._integer(), self._at
            if number not in _NUMBERS:
                raise ValueError(number)
            if kind in _INTEGERS:
                value = content[at]
                at += 1
                if value >= _MORE:
                    self._at = at - 1
                    value, at = self._varint(), self._at
                fields[number << 4 | kind] = value >> 1 ^ -(value & 1)
            elif kind in _TRUTHS:
                # A field's truth stands in its head.
                fields[number << 4 | kind] = kind == 1
            else:
                self._at = at
                fields[number << 4 | kind] = self._value(kind)
                at = self._at
        self._at = at + 1
        return fields

    def _value(self, kind: int) -> Any:
        value: Any
        match kind:
            case 8:
                value = self._bytes(self._varint())
            case 9 | 10:
                value = self._list()
            case 12:
                value = self.struct()
            case 4 | 5 | 6:  # of 16, 32 and 64 bits
                value = self._integer()
            case 1 | 2 | 3:
                value = self._byte()
            case 7:
                value = self._bytes(8)
            case 11:
                size = self._varint()
                kinds = self._byte() if size else 0
                value = [(self._value(kinds >> 4), self._value(kinds & 15)) for _ in range(size)]
            case _:
                raise ValueError(kind)
        return value

    def _list(self) -> list[Any]:
        size, kind = self._head_of_list()
        return [self._value(kind) for _ in range(size)]

    def _head_of_list(self) -> tuple[int, int]:
        """Return how many values of which kind there are."""
        head = self._byte()
        size, kind = head >> 4 if head >> 4 < _LONG else self._varint(), head & 15
        if size and kind not in {_I32, _I64, _BINARY, _STRUCT}:
            # Footers have no such lists; the library would read them as what they ought to be.
            raise ValueError(kind)
        return size, kind

    def _byte(self) -> int:
        byte = self._content[self._at]
        self._at += 1
        return byte

    def _bytes(self, size: int) -> bytes:
        start = self._at
        self._at += size
        if self._at > len(self._content):
            raise IndexError(size)
        return self._content[start : self._at]

    def _varint(self) -> int:
        content, at = self._content, self._at
        value = shift = 0
        while (byte := content[at]) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            at += 1
        self._at = at + 1
        return value | byte << shift

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
