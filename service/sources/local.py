"""Local storage: files on a disk of this machine."""

import errno
import heapq
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from service.domain.errors import (
    SourceChangedError,
    SourceError,
    SourceNotAllowedError,
    SourceNotFoundError,
    SourceTooManyFilesError,
    StorageAccessRefusedError,
    StorageUnreachableError,
)
from service.runtime.daemon_thread import in_daemon_thread
from service.sources.allowed import real_path
from service.sources.listing import Listing, printable
from service.sources.pattern import FileKind, Reached, SourcePattern
from service.sources.source import Source, SourceFile, SourceReader, nothing_found
from service.sources.table_format import tables_around

_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
"""What could not be there however often it is tried; the rest may be a disk's bad day."""
_REFUSALS: Final = frozenset({errno.EACCES, errno.EPERM})
_DEEPEST: Final = 64
"""Levels of folders below the one that the URI names."""
_LONGEST_PATH: Final = 4095
"""Bytes, as Linux has it."""
_LOOK_S: Final = 0.1
"""How often the wait for a disk looks whether the disk still answers."""


class LocalSource(Source):
    """Files below a `file://` URI. Links are followed, and wherever they lead must be allowed.

    Where several paths lead to one folder it is read once: by its own path, else by the first link.
    """

    def files(self, kind: FileKind, stop: threading.Event) -> tuple[SourceFile, ...]:
        """List the files, sorted by path."""
        listing = Listing(self._uri, self._access, stop)
        pattern = SourcePattern(self._uri.segments, kind)
        # In a thread of its own, which is left behind: a disk that does not answer holds whoever asks it.
        walk = in_daemon_thread(self._list, pattern, listing)
        while not wait([walk], timeout=_LOOK_S).done:
            listing.check_heard_from()
        walk.result()
        if not listing.files:
            raise SourceNotFoundError(nothing_found(self._uri, kind))
        return tuple(sorted(listing.files))

    def open(self, file: SourceFile) -> SourceReader:
        """Open a file that was listed; where it lies, links followed, is checked again once it is open."""
        with _translated(self._uri.text):
            return _LocalReader(file, self._real(file.path), self._check)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _list(self, pattern: SourcePattern, listing: Listing) -> None:
        with _translated(self._uri.text):
            status = Path(self._real(self._uri.base)).stat()
            single = not self._uri.is_glob and not self._uri.is_folder
            if stat.S_ISDIR(status.st_mode):
                self._refuse_table_around(pattern.kind, listing)
                self._walk(pattern, listing)
            elif single and stat.S_ISREG(status.st_mode):
                name = self._uri.base.rpartition("/")[2]
                listing.add(path=self._uri.base, size=status.st_size, name=name, version=_version(status))
            else:
                # Reading a pipe or a device could wait, or go on, for ever.
                raise SourceNotFoundError(f"{self._uri.text} is neither a file nor a folder of files")

    def _walk(self, pattern: SourcePattern, listing: Listing) -> None:
        ahead = [_Folder(self._uri.base, "", pattern.start(), 0)]
        links: list[_Folder] = []
        seen: dict[tuple[int, int], list[Reached]] = {}
        while ahead or links:
            # What is reached without a link comes first, then the links in the order of their names.
            folder = ahead.pop() if ahead else heapq.heappop(links)
            status = Path(folder.path).stat()
            before = seen.setdefault((status.st_dev, status.st_ino), [])
            if folder.reached in before:
                continue
            for entry in _entries(folder.path):
                listing.look()
                is_link = entry.is_symlink()
                if _is_folder(entry):
                    self._refuse_table(folder.path, entry.name, pattern.kind, listing)
                    inner = self._into(folder, entry, pattern)
                    if inner.reached:
                        listing.enter()
                        if is_link:
                            self._real(inner.path)
                            heapq.heappush(links, inner)
                        else:
                            ahead.append(inner)
                elif pattern.takes(folder.reached, entry.name) and not any(
                    # A glob may stand at another place than when the folder was met before.
                    pattern.takes(reached, entry.name)
                    for reached in before
                ):
                    if is_link:
                        self._real(entry.path)
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode):
                        name = folder.name + entry.name
                        listing.add(path=entry.path, size=status.st_size, name=name, version=_version(status))
            before.append(folder.reached)

    def _refuse_table_around(self, kind: FileKind, listing: Listing) -> None:
        for folder in tables_around(self._uri.base):
            for table in kind.tables:
                with suppress(OSError, SourceNotAllowedError):
                    # What is not allowed, or not readable for this service, is not looked at.
                    self._real(f"{folder}/{table.folder}")
                    self._refuse_table(folder, table.folder, kind, listing)

    def _refuse_table(self, folder: str, inner: str, kind: FileKind, listing: Listing) -> None:
        """Raise UnsupportedTableFormatError where `inner` has the log that makes a table of `folder`."""
        table = kind.table_with(inner)
        if table is None:
            return
        for entry in _entries(f"{folder}/{inner}"):
            listing.look()
            if table.is_log(entry.name):
                raise table.refused(printable(folder))

    def _into(self, folder: "_Folder", entry: os.DirEntry[str], pattern: SourcePattern) -> "_Folder":
        if folder.depth == _DEEPEST or len(os.fsencode(entry.path)) > _LONGEST_PATH:
            raise SourceTooManyFilesError(
                f"the folders of {self._uri.text} are nested more than {folder.depth} deep"
            )
        name = f"{folder.name}{entry.name}/"
        return _Folder(entry.path, name, pattern.into(folder.reached, entry.name), folder.depth + 1)

    def _real(self, path: str) -> str:
        """Return where a path leads to; raises SourceNotAllowedError where that is not allowed to be read."""
        real = real_path(self._uri, path)
        self._check(real)
        return real

    def _check(self, real: str) -> None:
        self._allowed.check_place(self._uri, real)


class _Folder(NamedTuple):
    path: str
    name: str
    """Below the source's own, with a slash at its end; empty for the source's own."""
    reached: Reached
    depth: int


class _LocalReader(SourceReader):
    # Not memory-mapped: mapped pages count as memory of this process.

    def __init__(self, file: SourceFile, real: str, check: Callable[[str], None]) -> None:
        self._listed = file
        self._real = real
        # Before it is opened, as some devices begin to work when they are; and opened without waiting, as a
        # pipe that has come in its place would wait for ever.
        self._verify(Path(real).stat())
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
        try:
            self._verify(os.fstat(descriptor))
            if sys.platform == "linux":
                # A folder above it may have become a link meanwhile: what is open says where it really lies.
                check(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            self.file = pa.OSFile(f"/dev/fd/{descriptor}")
        finally:
            os.close(descriptor)

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
            self._verify(Path(self._real).stat())

    def _verify(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or _version(status) != self._listed.version:
            raise SourceChangedError(f"{self._listed.name} was replaced while it was being read; run again")


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False  # a link to itself is as dangling as any other
        raise


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn the system's errors into this service's own, about `what`."""
    try:
        yield
    except OSError as error:
        if error.filename and not what.endswith(str(error.filename)):
            what = f"{printable(str(error.filename))} of {what}"
        raise _meaning(error, what) from error


def _meaning(error: OSError, what: str) -> SourceError:
    if error.errno in _MISSING:
        return SourceNotFoundError(f"{what} does not exist")
    if error.errno in _REFUSALS:
        return StorageAccessRefusedError(f"this service may not read {what}: {error.strerror}")
    return StorageUnreachableError(f"{what} cannot be read: {error.strerror}")
