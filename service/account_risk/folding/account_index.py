"""The account index: which number stands for which account id, in the order of first sight.

Turning ids into numbers is the largest cost of an evaluation, so no Python object is made for any id: numpy
reads the ids eight bytes at a time, mixes them into two independent 64-bit fingerprints, and looks these up
in an open-addressing table. An id is known by its fingerprints alone: one picks the place in the table, the
other is compared there. The odds that any two of ten million ids are taken for one are below 1 in 10^12.
"""

import secrets
import threading
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from service.sources.parquet.columns import Ints, Packed

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
"""The golden ratio in 64 bits, the usual odd multiplier that spreads neighbouring keys."""
_OTHER_ODD: Final = np.uint64(0xD6E8FEB86659FD93)
_HALF: Final = np.uint64(32)
_WORD: Final = 8
_FIRST_SLOTS_LOG2: Final = 12
_FULL: Final = 3
"""A table with more than one slot in three taken is replaced; most ids are then found at the first look."""
_SAMPLE: Final = 4_096
"""Among so many new ids one is there twice as a rule, unless they all are distinct."""


class AccountIndex:
    """Numbers account ids 0, 1, 2, … as they are first seen; safe to use from several threads.

    Takes between 40 and 90 bytes for each account, whatever the length of its id.
    """

    def __init__(self, seed: int | None = None) -> None:
        # Secret unless given, so that nobody can make a file whose ids collide.
        self.seed = secrets.randbits(64) if seed is None else seed
        self.count = 0
        self._adding = threading.Lock()
        self._table = _Table(_FIRST_SLOTS_LOG2)

    @property
    def nbytes(self) -> int:
        """The memory that the table takes."""
        return self._table.nbytes

    def numbers(self, ids: Any) -> Ints:
        """Return each id's number, for a binary or large_binary column without nulls."""
        return self.numbers_of(*fingerprints(ids, self.seed))

    def numbers_of(self, home: Packed, check: Packed) -> Ints:
        """Return the numbers of ids known by their two fingerprints, adding those not yet seen."""
        found = self._table.find(home, check)
        new = np.flatnonzero(found < 0)
        if new.size:
            with self._adding:
                self._add(home[new], check[new])
                found[new] = self._table.find(home[new], check[new])
        return found

    def fingerprints(self) -> tuple[Packed, Packed]:
        """Return both fingerprints of every account, in the order of their numbers."""
        return self._table.home[1 : self.count + 1], self._table.check[1 : self.count + 1]

    def _add(self, home: Packed, check: Packed) -> None:
        # Another thread may have added some of them before this one had the lock.
        new = np.flatnonzero(self._table.find(home, check) < 0)
        new = new.take(_first_of_each(check.take(new)))
        if (self.count + new.size) * _FULL > self._table.slots:
            grown = _Table(int(4 * (self.count + new.size)).bit_length())
            grown.put(0, *self.fingerprints())
            self._table = grown
        self._table.put(self.count, home[new], check[new])
        self.count += new.size


class _Table:
    """Open addressing with linear probing; a slot holds an account's number + 1, or 0 while it is free."""

    def __init__(self, log2: int) -> None:
        self.slots = 1 << log2
        self._shift = np.uint64(64 - log2)
        self._held = np.zeros(self.slots, np.int32)
        # By number + 1, so that a free slot leads to a check of 0, which no id has.
        self.home = np.zeros(self.slots // _FULL + 2, np.uint64)
        self.check = np.zeros(self.slots // _FULL + 2, np.uint64)
        self.nbytes = self._held.nbytes + self.home.nbytes + self.check.nbytes

    def find(self, home: Packed, check: Packed) -> Ints:
        """Return the number of each id, -1 where it is not in the table."""
        slot = (home >> self._shift).view(np.int64)
        found: Ints = self._held.take(slot, mode="clip").astype(np.int64)
        astray = self._astray(found, check)
        slot, check = slot.take(astray), check.take(astray)
        while astray.size:
            slot = (slot + 1) & (self.slots - 1)
            held = self._held.take(slot, mode="clip").astype(np.int64)
            found[astray] = held
            left = self._astray(held, check)
            astray, slot, check = astray.take(left), slot.take(left), check.take(left)
        found -= 1
        return found

    def _astray(self, held: Ints, check: Packed) -> Ints:
        """Return where another id holds the slot that was looked at, so that the search goes on behind it."""
        return np.flatnonzero((self.check.take(held, mode="clip") != check) & (held != 0))

    def put(self, first: int, home: Packed, check: Packed) -> None:
        """Enter ids not yet in the table under the numbers from `first`; there must be room."""
        number = np.arange(first + 1, first + 1 + home.size)
        # Readers do not wait: the fingerprints stand before any slot leads to them.
        self.home[first + 1 : first + 1 + home.size] = home
        self.check[first + 1 : first + 1 + home.size] = check
        slot = (home >> self._shift).view(np.int64)
        while number.size:
            free = np.flatnonzero(self._held.take(slot, mode="clip") == 0)
            self._held[slot.take(free)] = number.take(free)
            # Where several wanted the same free slot, the last one has it; the others look further.
            left = np.flatnonzero(self._held.take(slot, mode="clip") != number)
            number, slot = number.take(left), (slot.take(left) + 1) & (self.slots - 1)


def _first_of_each(values: Packed) -> Ints:
    """Return where each distinct value stands first, ascending."""
    # Those of a dictionary are distinct, and sorting alone is far cheaper than finding an order.
    if not (_repeat(values[:_SAMPLE]) or _repeat(values)):
        return np.arange(values.size)
    # Not a stable sort, which is several times slower.
    order = np.argsort(values)
    ordered = values.take(order)
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: ordered.size])
    return np.sort(np.minimum.reduceat(order, begins)) if begins.size else begins


def _repeat(values: Packed) -> bool:
    """Return whether any value is there twice."""
    ordered = np.sort(values)
    return bool((ordered[1:] == ordered[:-1]).any())


def fingerprints(ids: Any, seed: int) -> tuple[Packed, Packed]:
    """Return two fingerprints of each id in a binary or large_binary column; the second is never 0.

    The same id has the same fingerprints in every batch, file and process that uses the same seed.
    """
    lengths, words = _words(ids)
    # Without the length, an id that ends in NUL bytes would be taken for the one without them.
    home = (lengths + np.uint64(seed & 0xFFFF_FFFF)) * _ODD
    check = (lengths + np.uint64(seed >> 32)) * _OTHER_ODD
    for rows, word in words:
        if rows is None:
            home, check = _mixed(home, check, word)
        else:
            home[rows], check[rows] = _mixed(home[rows], check[rows], word)
    _finish(home)
    _finish(check)
    return home, check | np.uint64(1)


def _mixed(home: Packed, check: Packed, word: Packed) -> tuple[Packed, Packed]:
    """Stir one word into both fingerprints; each step can be undone, so that no information is lost."""
    home = home ^ word
    home *= _ODD
    home ^= home >> _HALF
    check = check + word
    check *= _OTHER_ODD
    check ^= check >> _HALF
    return home, check


def _finish(mixed: Packed) -> None:
    mixed *= _OTHER_ODD
    mixed ^= mixed >> _HALF
    mixed *= _ODD


def _words(ids: Any) -> tuple[Packed, Iterator[tuple[Ints | None, Packed]]]:
    """Return the lengths, one if they are alike, and one by one the 8-byte words of ids that are long enough.

    Each is given as the rows it belongs to, None for all, and the words, zeros after the end of an id.
    """
    _, offsets_buffer, data = ids.buffers()
    width = np.dtype(np.int64 if ids.type == "large_binary" else np.int32)
    offsets = np.frombuffer(offsets_buffer, width, len(ids) + 1, ids.offset * width.itemsize)
    start, end = int(offsets[0]), int(offsets[-1])
    # A copy, so that the words start at a word's boundary and reading past the end is allowed.
    text = np.zeros((end - start) // _WORD + 3, "<u8")
    if end > start:
        text.view(np.uint8)[: end - start] = np.frombuffer(data, np.uint8, end - start, start)
    sizes = np.diff(offsets)
    longest = int(sizes.max(initial=0))
    if sizes.min(initial=longest) == longest > 0:
        return np.array([longest], np.uint64), _words_alike(text, longest, len(ids))
    lengths = sizes.astype(np.int64)
    return lengths.view(np.uint64), _words_of_any_length(text, offsets[:-1] - np.int64(start), lengths)


def _words_alike(text: Packed, length: int, count: int) -> Iterator[tuple[None, Packed]]:
    for at in range(0, length, _WORD):
        word = np.ndarray((count,), "<u8", text.data, at, (length,)).copy()
        yield None, word if length - at >= _WORD else _cut(word, length - at)


def _words_of_any_length(text: Packed, starts: Ints, lengths: Ints) -> Iterator[tuple[Ints | None, Packed]]:
    at = 0
    rows: Ints | None = None
    while starts.size:
        # Two neighbouring words are read, and shifted so that the id's own eight bytes are left.
        place = starts >> 3
        bits = ((starts & 7) << 3).view(np.uint64)
        low = text.take(place, mode="clip") >> bits
        high = text.take(place + 1, mode="clip") << (np.uint64(64) - bits)
        word = np.where(bits, low | high, low)
        yield rows, _cut(word, lengths - at)
        at += _WORD
        longer = np.flatnonzero(lengths > at)
        starts, lengths = starts[longer] + _WORD, lengths[longer]
        rows = longer if rows is None else rows[longer]


def _cut(word: Packed, left: Any) -> Packed:
    """Blank what lies behind the end of an id of which `left` bytes remain; at least one."""
    spare = np.maximum(np.int64(_WORD) - left, 0).astype(np.uint64) << np.uint64(3)
    cut: Packed = (word << spare) >> spare
    return cut
