"""The source reader: the small interface behind which every kind of storage looks the same."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa

from service.sources.uri import SourceUri


@dataclass(frozen=True, slots=True, order=True)
class SourceFile:
    """One file of a source, as it was listed."""

    path: str
    """Absolute on disk, `bucket/key` for objects; links are kept, so that `key=value` shows."""
    size: int
    """In bytes; a file of 0 bytes is listed, and turns out not to be Parquet when it is read."""
    name: str
    """Path inside the source, for people: relative to the folder, or to what precedes the first wildcard."""
    version: str
    """Opaque; differs once the file is replaced (ETag, generation, time and inode). Empty: cannot be told."""


class SourceReader(ABC):
    """One open file, a context manager; for one thread at a time, though Arrow may read from several."""

    parquet_input: pa.NativeFile
    """For `pyarrow.parquet.ParquetFile`; pass `pre_buffer=False`, since `prefetch` knows better."""

    @abstractmethod
    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Begin to fetch `(offset, length)` ranges together; return at once.

        Neighbouring ranges are coalesced. Reads inside them wait for them and are served from memory, which
        is released as it is consumed: call it for no more than shall be held at once. Errors are raised by
        the reads. On local files this does nothing.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file and of everything fetched.

        Raises SourceChangedError if a local file was changed in place while it was open.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Source(ABC):
    """Files behind a URI. Synchronous: for worker threads, which may share it, never for the event loop."""

    uri: str
    """As it was asked for; holds no credentials."""

    @abstractmethod
    def files(self) -> tuple[SourceFile, ...]:
        """List the files, sorted by path; never empty.

        Raises SourceNotFoundError, SourceNotAllowedError, StorageUnreachableError, StorageAccessRefusedError.
        """

    @abstractmethod
    def open(self, file: SourceFile) -> SourceReader:
        """Open a file that was listed.

        Raises SourceChangedError if it is no longer what was listed, and what `files` raises. Remote files
        are not touched before they are read, so these errors may come from the reads instead.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; readers must be closed before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def nothing_found(uri: SourceUri) -> str:
    """Return the sentence that says that `uri` exists, or may, but means no file."""
    if uri.is_glob:
        return f"{uri.text} matches no file (a glob that ends in a wildcard takes *.parquet only)"
    return f"{uri.text} is a folder without any *.parquet file (names that begin with _ or . are not read)"
