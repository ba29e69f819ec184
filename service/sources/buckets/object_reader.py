"""The object reader: exact byte ranges of one object, fetched ahead together, held no longer than needed."""

import io
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final

import pyarrow as pa

from service.sources.buckets.ranges import Part, plan_parts
from service.sources.source import SourceReader

TAIL: Final = 64 * 1024
"""Bytes; Arrow reads this much from the end to find the footer. Kept while the file is open."""


class ObjectReader(SourceReader):
    """Serves reads from parts that were fetched ahead; what was not is fetched exactly, when it is read."""

    def __init__(
        self,
        size: int,
        fetch: Callable[[int, int], Future[bytes]],
        wait: Callable[[Future[bytes]], bytes],
        *,
        tail: bytes = b"",
        on_tail: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`fetch(start, end)` begins a request; `wait` returns its bytes or raises what a person may read.

        `tail` is the end of the file, as far as it is known; `on_tail` is called when it is read.
        """
        self._size = size
        self._fetch = fetch
        self._wait = wait
        self._lock = threading.Lock()
        self._held: list[_Held] = []
        self._tail = tail
        self._on_tail = on_tail
        self._closed = False
        self.file = pa.PythonFile(_RangeFile(self, size), mode="r")

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Begin to fetch `(offset, length)` ranges together; return at once."""
        with self._lock:
            wanted = list(self._not_held(ranges))
            self._held += [_Held(part, self._fetch(part.start, part.end)) for part in plan_parts(wanted)]
            self._held.sort(key=lambda held: held.part.start)

    def close(self) -> None:
        """Drop everything fetched, and cancel what is on its way."""
        with self._lock:
            self._closed = True
            for held in self._held:
                held.future.cancel()
            self._held = []
            self._tail = b""
        self.file.close()

    def read_range(self, start: int, end: int) -> memoryview:
        """Return the bytes `start` to `end` (exclusive), which lie inside the file."""
        pieces: list[memoryview] = []
        at = start
        while at < end:
            piece = self._piece(at, end)
            pieces.append(piece)
            at += len(piece)
        return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))

    def _piece(self, start: int, end: int) -> memoryview:
        """Return the bytes from `start` on, as far as one place holds them; at least one."""
        with self._lock:
            tail, tail_start = self._tail, self._size - len(self._tail)
            held = next((held for held in self._held if held.part.start <= start < held.part.end), None)
            if held is None:
                nexts = [held.part.start for held in self._held if held.part.start > start]
                end = min([end, *nexts])
        if start >= tail_start:
            return memoryview(tail)[start - tail_start : end - tail_start]
        end = min(end, tail_start)
        if held is None:
            content = self._wait(self._fetch(start, end))
            self._keep_tail(start, content)
            return memoryview(content)
        end = min(end, held.part.end)
        view = memoryview(self._wait(held.future))[start - held.part.start : end - held.part.start]
        with self._lock:
            held.unread -= end - start
            if held.unread <= 0 and held in self._held:
                self._held.remove(held)
        return view

    def _keep_tail(self, start: int, content: bytes) -> None:
        if start + len(content) == self._size and len(content) <= TAIL:
            with self._lock:
                if not self._closed and len(content) > len(self._tail):
                    self._tail = content
                    self._on_tail(content)

    def _not_held(self, ranges: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
        """Cut from `ranges` what is here, or on its way, already."""
        tail = (self._size - len(self._tail), self._size)
        here = [(held.part.start, held.part.end) for held in self._held] + [tail]
        for offset, length in ranges:
            at, end = max(offset, 0), min(offset + length, self._size)
            for left, right in here:
                if right <= at or left >= end:
                    continue
                if left > at:
                    yield at, left - at
                at = right
            if at < end:
                yield at, end - at


class _Held:
    # A part of the file that was fetched, or is on its way.

    def __init__(self, part: Part, future: Future[bytes]) -> None:
        self.part = part
        self.future = future
        self.unread = part.wanted


class _RangeFile(io.RawIOBase):
    # What Arrow asks of a file in Python; it calls these under a lock of its own.

    def __init__(self, reader: ObjectReader, size: int) -> None:
        super().__init__()
        self._reader = reader
        self._size = size
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        return bytes(self._take(size))

    def read_buffer(self, size: int = -1) -> pa.Buffer:
        # Arrow prefers this: its columns are then decoded from the very bytes that came in.
        return pa.py_buffer(self._take(size))

    def _take(self, size: int) -> memoryview:
        end = self._size if size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return memoryview(b"")
        content = self._reader.read_range(self._at, end)
        self._at = end
        return content
