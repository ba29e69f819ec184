"""The prefetch: which bytes of a row group are asked for before they are read, and when."""

from collections.abc import Sequence
from typing import Final

from service.sources.source import SourceReader

_PIECES_AHEAD: Final = 2


class Prefetch:
    """Fetches the chunks of one row group ahead of the reading, in pieces if they are large.

    Columns are read side by side, each chunk from its start to its end as rows advance, so a piece is the
    same share of every chunk. Where a chunk's rows are not spread evenly, some reads come before their piece
    and cost requests of their own; they are never wrong.
    """

    def __init__(
        self, reader: SourceReader, ranges: Sequence[tuple[int, int]], *, rows: int, at_most: int
    ) -> None:
        """Begin to fetch; no more than about `at_most` bytes are held at once."""
        self._reader = reader
        self._ranges = ranges
        self._rows = rows
        total = sum(length for _, length in ranges)
        self._pieces = 1 if total <= at_most else -(-total * _PIECES_AHEAD // at_most)
        self._next = 0
        self.reached(0)

    def reached(self, row: int) -> None:
        """Fetch what comes after the rows that are read by now."""
        piece = row * self._pieces // self._rows
        while self._next < min(piece + _PIECES_AHEAD, self._pieces):
            self._reader.prefetch([self._part(offset, length) for offset, length in self._ranges])
            self._next += 1

    def _part(self, offset: int, length: int) -> tuple[int, int]:
        first = length * self._next // self._pieces
        return offset + first, length * (self._next + 1) // self._pieces - first
