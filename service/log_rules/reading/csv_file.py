"""CSV: blocks of records become batches of the columns that rules name, as text; nothing is converted."""

from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from service.log_rules.reading.csv_blocks import BLOCK
from service.log_rules.reading.layout import Layout
from service.log_rules.reading.matching import Matcher
from service.log_rules.reading.times import INSTANT

_NOT_ASCII: Final = 128


class Malformed:
    """Counts the lines of the records of one block that are too short or too long.

    A quote that nothing closes takes the lines after it into its value: none of them is lost uncounted.
    """

    def __init__(self) -> None:
        self.rows = 0

    def skip(self, record: Any) -> str:
        """Count one, and have the parser go on."""
        text = record.text.rstrip("\r\n")
        self.rows += 1 + max(text.count("\n"), text.count("\r"))
        return "skip"


class Joined:
    """What was read already, and what comes after it, as one file of Python in valid UTF-8."""

    closed = False

    def __init__(self, before: bytes, stream: Any) -> None:
        self._before = before
        self._stream = stream
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def read(self, size: int = -1) -> bytes:
        """Return some bytes, at most so many but for what replaces others; none at the end."""
        while content := self._next(size):
            if valid := self._decoder.decode(content).encode():
                return valid
        return self._decoder.decode(b"", final=True).encode()

    def _next(self, size: int) -> bytes:
        if self._before:
            size = len(self._before) if size < 0 else size
            given, self._before = self._before[:size], self._before[size:]
            return given
        content: bytes = self._stream.read(size if size >= 0 else None)
        return content

    def readable(self) -> bool:
        """Say that it is for reading."""
        return True

    def close(self) -> None:
        """Leave the stream to whoever opened it."""


class CsvTables:
    """Makes tables of the blocks of one file; for several threads.

    At first every record is taken to be whole, and where most rows match, every time to be an instant. The
    first that is not has its blocks parsed again, and those that follow like them: what is malformed is
    counted, and times are text.
    """

    def __init__(self, layout: Layout, matcher: Matcher) -> None:
        self.layout = layout
        self._matcher = matcher
        self._is_clean = True
        self._is_dense = False

    def table(self, blocks: Sequence[memoryview]) -> tuple[Any, int]:
        """Return the records of some blocks, none empty, and how many were malformed; raises ArrowInvalid."""
        if self._is_clean:
            try:
                return self._parsed(blocks, self._matcher.instants if self._is_dense else (), None), 0
            except pa.ArrowInvalid:
                self._is_clean = False
        malformed = Malformed()
        return self._parsed([_valid(block) for block in blocks], (), malformed), malformed.rows

    def note_dense(self) -> None:
        """Note that most rows of a table matched."""
        self._is_dense = True

    def _parsed(self, blocks: Sequence[Any], instants: tuple[str, ...], malformed: Malformed | None) -> Any:
        conversion = _conversion(self._matcher.filters, self._matcher.others, instants)
        return pa.concat_tables([_table(block, self.layout, conversion, malformed) for block in blocks])


def _table(block: Any, layout: Layout, conversion: Any, malformed: Malformed | None) -> Any:
    return pc.read_csv(
        pa.BufferReader(pa.py_buffer(block)),
        read_options=pc.ReadOptions(
            use_threads=False, column_names=layout.names, block_size=max(len(block) + 1, 1024)
        ),
        parse_options=pc.ParseOptions(invalid_row_handler=None if malformed is None else malformed.skip),
        convert_options=conversion,
    )


def parse_stream(
    stream: Any, layout: Layout, filters: tuple[str, ...], others: tuple[str, ...], malformed: Malformed
) -> Iterator[Any]:
    """Yield batches of a stream whose values hold line breaks, on one thread; raises ArrowInvalid."""
    yield from pc.open_csv(
        stream,
        read_options=pc.ReadOptions(use_threads=False, column_names=layout.names, block_size=BLOCK),
        parse_options=pc.ParseOptions(newlines_in_values=True, invalid_row_handler=malformed.skip),
        convert_options=_conversion(filters, others),
    )


def _valid(content: Any) -> Any:
    """Return the same in UTF-8, with replacements for what is none: rejected rows are shown as text."""
    if np.frombuffer(content, np.uint8).max() < _NOT_ASCII:
        return content
    return bytes(content).decode("utf-8", "replace").encode()


@lru_cache
def _conversion(filters: tuple[str, ...], others: tuple[str, ...], instants: tuple[str, ...] = ()) -> Any:
    # What filters is the same few values over and over: they are compared once each.
    text, few = pa.string(), pa.dictionary(pa.int32(), pa.string())
    kinds = dict.fromkeys(others, text) | dict.fromkeys(filters, few) | dict.fromkeys(instants, INSTANT)
    # Nothing stands for null or for a truth value.
    nothing = dict.fromkeys(("null_values", "true_values", "false_values"), ())
    return pc.ConvertOptions(include_columns=[*kinds], column_types=kinds, check_utf8=False, **nothing)
