"""The source: files on a disk or in a bucket, listed, pinned and read by range, whatever their format."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

from service.domain.source_uri import SourceUri
from service.sources.allowed import AllowedSources
from service.sources.pattern import FileKind

if TYPE_CHECKING:
    import pyarrow as pa  # what opens a file loads it


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccess:
    """What opening a source needs besides its URI."""

    gcs_token: str | None = field(default=None, repr=False)
    """Secret. None: application default credentials; `anon`: none; else a key file's path or a token."""
    gcs_endpoint_url: str | None = None
    """Another endpoint for gs://, such as an emulator."""
    s3_endpoint_url: str | None = None
    """Another endpoint for s3://, such as an emulator or MinIO."""
    s3_anon: bool = False
    """Read s3:// without credentials; otherwise the standard AWS variables and files are honoured."""
    timeout_s: float = 15.0
    """Limit of one operation on the storage, in seconds."""
    max_files: int = 100_000
    """Files and folders of one source."""
    allowed_sources: tuple[str, ...] | None = None
    """URI prefixes that may be read; None: any. Every file is checked again before it is opened."""


@dataclass(frozen=True, slots=True, order=True)
class SourceFile:
    """One file of a source, as it was listed."""

    path: str
    """Absolute on disk, `bucket/key` for objects; links are kept, so that `key=value` shows."""
    size: int
    """In bytes; a file of 0 bytes is listed, too."""
    name: str
    """Path inside the source, for people: relative to the folder, or to what precedes the first wildcard."""
    version: str
    """Opaque; differs once the file is replaced (ETag, generation, time and inode). Empty: unknown."""


class _Closed(ABC):
    """A context manager that is closed at its end."""

    @abstractmethod
    def close(self) -> None:
        """Close it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SourceReader(_Closed):
    """One open file, a context manager; for one thread at a time, though Arrow may read from several."""

    file: "pa.NativeFile"
    """For Arrow's readers; have them buffer nothing ahead (`pre_buffer=False`): `prefetch` knows better."""

    @abstractmethod
    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Begin to fetch `(offset, length)` ranges together; return at once.

        Neighbouring ranges are coalesced. Reads inside them wait for them and are served from memory, which
        is released as it is consumed: call it for no more than shall be held at once. Errors are raised by
        the reads. On local files this does nothing.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file and drop everything fetched.

        Raises SourceChangedError if a local file was changed in place while it was open.
        """


class Source(_Closed):
    """Files behind a URI. Synchronous: for worker threads, which may share it, never for the event loop."""

    def __init__(self, uri: SourceUri, access: StorageAccess) -> None:
        self._uri = uri
        self._access = access

    @cached_property
    def _allowed(self) -> AllowedSources:
        # Not before a worker asks: the links in the prefixes are resolved.
        return AllowedSources.parse(self._access.allowed_sources)

    @abstractmethod
    def files(self, kind: FileKind, stop: threading.Event) -> tuple[SourceFile, ...]:
        """List the files, sorted by path; never empty. In folders only those of `kind` count.

        Raises SourceNotFoundError, SourceNotAllowedError, SourceTooManyFilesError, StorageUnreachableError,
        StorageAccessRefusedError, and InterruptedRunError soon after `stop` is set.
        """

    @abstractmethod
    def open(self, file: SourceFile) -> SourceReader:
        """Open a file that was listed.

        Raises SourceChangedError if it is no longer what was listed, and what `files` raises. Remote files
        are not touched before they are read, so these errors may come from the reads instead.
        """

    @abstractmethod
    def close(self) -> None:
        """Close all connections; readers must be closed before."""


def nothing_found(uri: SourceUri, kind: FileKind) -> str:
    """Return the sentence that says that `uri` exists, or may, but means no file."""
    if uri.is_glob:
        return f"{uri.text} matches no file (a glob that ends in a wildcard takes {kind} only)"
    return f"{uri.text} is a folder without any {kind} file (names that begin with _ or . are not read)"
