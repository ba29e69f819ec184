"""CSV blocks: a stream of bytes is cut where records end, so that each block can be parsed by itself."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

BLOCK: Final = 4 << 20
"""Bytes."""
LONGEST: Final = 16 * BLOCK
"""Bytes of the longest record."""
ROWS: Final = 1 << 14
"""Records of a block, by what those at the end of the block before say: arrays have so many rows."""
_SHORTEST: Final = 8
"""Bytes of a record that are assumed at least, and for the first block."""
_SPARE: Final = 1 << 16
"""Bytes for what the block before left of its last record."""
_PIECE: Final = 1 << 18
"""Bytes that are looked at together, with room in the cache."""
_LOOK: Final = 1 << 14
"""Bytes of a block's end whose records are counted."""
_QUOTE: Final = b'"'
_LINE: Final = ord("\n")


class RecordTooLongError(ValueError):
    """A record does not end within `LONGEST` bytes."""


class CsvBlocks:
    """The blocks of one stream, from its beginning.

    Where a cut would fall into quotes (a value holds a line break, or a quote that closes nothing) only a
    parser knows where records end: the blocks end there, and `rest` is what was read and not given out.
    """

    def __init__(
        self,
        stream: Any,
        block: int = BLOCK,
        before_read: Callable[[], None] = lambda: None,
        *,
        rows: int = ROWS,
    ) -> None:
        """`stream` has `readinto`; `before_read` is called before each block is read.

        Blocks have `block` bytes, or fewer where that would be more than some `rows` records.
        """
        self.rest: bytes | None = None
        self._stream = stream
        self._block = block
        self._rows = rows
        self._before_read = before_read
        self._rooms: deque[bytearray] = deque()

    def release(self, block: memoryview) -> None:
        """Let the memory of a block be read into again; from any thread, once nobody looks at it any more."""
        room = block.obj
        if isinstance(room, bytearray):
            self._rooms.append(room)

    def __iter__(self) -> Iterator[memoryview]:
        left = b""
        at_end = False
        more = min(self._block, self._rows * _SHORTEST)
        while not at_end:
            self._before_read()
            size = len(left) + more
            block = self._room(size)
            block[: len(left)] = left
            filled = len(left) + self._fill(memoryview(block)[len(left) : size])
            at_end = filled < size
            cut = filled if at_end else block.rfind(b"\n", 0, filled) + 1
            if not at_end and _is_quote_open(memoryview(block)[:cut]):
                self.rest = bytes(memoryview(block)[:filled])
                return
            if not cut and filled > max(LONGEST, self._block):
                raise RecordTooLongError(f"a record has more than {LONGEST:,} bytes")
            more = self._next_size(memoryview(block)[max(cut - _LOOK, 0) : cut])
            left = bytes(memoryview(block)[cut:filled])
            if cut:
                yield memoryview(block)[:cut]

    def _next_size(self, end: memoryview) -> int:
        """Return how much to read after a block with this end."""
        records = int(np.count_nonzero(np.frombuffer(end, np.uint8) == _LINE))
        if not records:
            return self._block
        return min(self._block, self._rows * max(len(end) // records, _SHORTEST))

    def _room(self, size: int) -> bytearray:
        room = self._rooms.popleft() if self._rooms else bytearray()
        # Memory that the system has to give and to clear costs as much as the reading.
        return room if len(room) >= size else bytearray(size + _SPARE)

    def _fill(self, room: memoryview) -> int:
        filled = 0
        while filled < len(room):
            size = self._stream.readinto(room[filled:])
            if not size:
                break
            filled += size
        return filled


def _is_quote_open(content: memoryview) -> bool:
    """Return whether there is an odd number of quotes.

    Some writers quote every value: then looking for one after the other takes as long as all the parsing.
    """
    signs = np.frombuffer(content, np.uint8)
    found = np.zeros(_PIECE, np.bool_)
    odd = 0
    for begin in range(0, signs.size, _PIECE):
        piece = signs[begin : begin + _PIECE]
        np.equal(piece, ord(_QUOTE), out=found[: piece.size])
        found[piece.size :] = False
        # Whether they are odd takes half of what counting them takes: eight are joined at once.
        odd ^= int(np.bitwise_xor.reduce(found.view(np.uint64)))
    return odd.bit_count() % 2 == 1
