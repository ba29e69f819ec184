"""The listing: what one look through a source may cost, and whether anybody still waits for it."""

import threading
import time
from typing import Final

from service.domain.errors import InterruptedRunError, SourceTooManyFilesError, StorageUnreachableError
from service.domain.source_uri import SourceUri
from service.sources.source import SourceFile, StorageAccess

ENTRIES_PER_FILE: Final = 10
"""How many names are looked at for each file that a source may have: most of them may mean something else."""
OPERATIONS: Final = 20
"""A listing takes as long as so many operations on the storage, at most."""


class Listing:
    """The files found so far, and the bounds: entries, files with folders, time, and the caller's stop."""

    def __init__(self, uri: SourceUri, access: StorageAccess, stop: threading.Event) -> None:
        self.files: list[SourceFile] = []
        self._uri = uri.text
        self._max_files = access.max_files
        self._timeout_s = access.timeout_s
        self._began = self._last_sign_of_life = time.monotonic()
        self._stop = stop
        self._is_given_up = False
        self._entries = 0
        self._folders = 0

    def look(self, entries: int = 1) -> None:
        """Count names that are looked at.

        Raises InterruptedRunError once nobody waits any more, SourceTooManyFilesError and
        StorageUnreachableError.
        """
        self._last_sign_of_life = time.monotonic()
        self._check_wanted()
        if self._last_sign_of_life - self._began > OPERATIONS * self._timeout_s:
            raise self._unreachable(f"not all of it within {OPERATIONS * self._timeout_s:g} s")
        self._entries += entries
        if self._entries > self._max_files * ENTRIES_PER_FILE:
            raise self._too_many(f"more than {self._max_files * ENTRIES_PER_FILE:,} names to look through")

    def enter(self) -> None:
        """Count a folder that is to be gone into; raises SourceTooManyFilesError."""
        self._folders += 1
        self._check_files()

    def add(self, *, path: str, size: int, name: str, version: str) -> None:
        """Take a file; raises SourceTooManyFilesError."""
        self.files.append(SourceFile(path, size, printable(name), version))
        self._check_files()

    def check_heard_from(self) -> None:
        """Give the listing up, for whoever waits for it: it ends at its next look, whenever that comes.

        Raises InterruptedRunError if nobody waits any more, and StorageUnreachableError if it is silent.
        """
        self._check_wanted()
        if time.monotonic() - self._last_sign_of_life > self._timeout_s:
            self._is_given_up = True
            raise self._unreachable(f"no answer within {self._timeout_s:g} s")

    def _check_wanted(self) -> None:
        if self._stop.is_set() or self._is_given_up:
            raise InterruptedRunError("the listing was stopped")

    def _check_files(self) -> None:
        if len(self.files) + self._folders > self._max_files:
            raise self._too_many(f"more than {self._max_files:,} files and folders")

    def _unreachable(self, why: str) -> StorageUnreachableError:
        return StorageUnreachableError(f"{self._uri} cannot be listed: {why}")

    def _too_many(self, what: str) -> SourceTooManyFilesError:
        return SourceTooManyFilesError(
            f"{self._uri} has {what}; name a narrower folder or glob, or raise SOURCE_MAX_FILES"
        )


def printable(name: str) -> str:
    """Return a file's name as people may be shown it: line breaks, broken UTF-8 and the like are escaped."""
    if name.isprintable():
        return name
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in name)
