"""Local storage: files on a disk of this machine."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from service.domain.errors import (
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    StorageAccessRefusedError,
    StorageUnreachableError,
)
from service.domain.source_uri import SourceUri
from service.sources.allowed import AllowedSources
from service.sources.pattern import FileKind, SourcePattern
from service.sources.source import Source, SourceFile, SourceReader, StorageAccess, nothing_found

_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
"""What could not be there however often it is tried; the rest may be a disk's bad day."""
_REFUSALS = frozenset({errno.EACCES, errno.EPERM})


class LocalSource(Source):
    """Files below a `file://` URI. Links are followed, and wherever they lead must be allowed."""

    def __init__(self, uri: SourceUri, access: StorageAccess) -> None:
        self.uri = uri.text
        self._uri = uri
        self._access = access

    def files(self, kind: FileKind) -> tuple[SourceFile, ...]:
        """List the files, sorted by path."""
        self._allowed.check(self._uri)
        try:
            found = sorted(self._find(SourcePattern(self._uri.segments, kind)))
        except OSError as error:
            raise _translated(error, self.uri) from error
        if not found:
            raise SourceNotFoundError(nothing_found(self._uri, kind))
        return tuple(found)

    def open(self, file: SourceFile) -> SourceReader:
        """Open a file that was listed; its links are resolved and checked again."""
        real = os.path.realpath(file.path)
        self._allowed.check_place(self._uri, real)
        try:
            return _LocalReader(real, file)
        except OSError as error:
            raise _translated(error, self.uri) from error

    def close(self) -> None:
        """Do nothing: there is no connection."""

    @cached_property
    def _allowed(self) -> AllowedSources:
        # Not before a worker asks: the links in the prefixes are resolved.
        return AllowedSources.parse(self._access.allowed_sources)

    def _find(self, pattern: SourcePattern) -> Iterator[SourceFile]:
        base = Path(self._uri.base)
        status = base.stat()
        single = not self._uri.is_glob and not self._uri.is_folder
        if stat.S_ISDIR(status.st_mode):
            yield from self._walk(base, pattern)
        elif single and stat.S_ISREG(status.st_mode):
            yield SourceFile(self._uri.base, status.st_size, base.name, _version(status))
        else:
            # Reading a pipe or a device could wait, or go on, for ever.
            raise SourceNotFoundError(f"{self.uri} is neither a file nor a folder of files")

    def _walk(self, base: Path, pattern: SourcePattern) -> Iterator[SourceFile]:
        ahead = [(base, pattern.start(), frozenset[str]())]
        while ahead:
            folder, reached, above = ahead.pop()
            real = os.path.realpath(folder)
            self._allowed.check_place(self._uri, real)
            if real in above:
                # A link that leads back up: everything below it is seen already.
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        onward = pattern.into(reached, entry.name)
                        if onward:
                            ahead.append((folder / entry.name, onward, above | {real}))
                    elif pattern.takes(reached, entry.name):
                        self._allowed.check_place(self._uri, os.path.realpath(entry.path))
                        status = entry.stat()
                        if stat.S_ISREG(status.st_mode):
                            name = str((folder / entry.name).relative_to(base))
                            yield SourceFile(entry.path, status.st_size, name, _version(status))


class _LocalReader(SourceReader):
    # Not memory-mapped: mapped pages count as memory of this process.

    def __init__(self, real: str, file: SourceFile) -> None:
        self._listed = file
        self._real = Path(real)
        # Before it is opened, because opening a pipe that has come in its place would wait for ever.
        self._verify(self._real.stat())
        self.file = pa.OSFile(real)
        # The name may lead elsewhere by now: what was opened is asked, too.
        self._verify(os.fstat(self.file.fileno()))

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Do nothing: the kernel reads ahead."""

    def close(self) -> None:
        if self.file.closed:
            return
        status = os.fstat(self.file.fileno())
        self.file.close()
        self._verify(status)
        # A file that was removed is no mixture: what was read through the open handle was whole.
        with suppress(FileNotFoundError):
            self._verify(self._real.stat())

    def _verify(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or _version(status) != self._listed.version:
            raise SourceChangedError(f"{self._listed.name} was replaced while it was being read; run again")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False  # a link to itself is as dangling as any other
        raise


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def _translated(error: OSError, what: str) -> SourceError:
    if error.filename and not what.endswith(str(error.filename)):
        what = f"{error.filename} of {what}"
    if error.errno in _MISSING:
        return SourceNotFoundError(f"{what} does not exist")
    if error.errno in _REFUSALS:
        return StorageAccessRefusedError(f"this service may not read {what}: {error.strerror}")
    return StorageUnreachableError(f"{what} cannot be read: {error.strerror}")
