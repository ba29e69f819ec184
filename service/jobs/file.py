"""The file of a job: what was uploaded, as it lies in the database, or what its URI names."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import pyarrow as pa

from service.default_risk.errors import BadCompaniesFileError
from service.default_risk.reading.tables import COMPANY_FILES
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import SourceFile, SourceReader, StorageAccess

UPLOADED: Final = "uploaded"
"""The version of an upload, which never changes."""


class UploadReader(SourceReader):
    """An upload, in memory: it is small."""

    def __init__(self, content: bytes) -> None:
        self.file = pa.BufferReader(content)

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Do nothing: it is all there."""

    def close(self) -> None:
        """Let go of it."""
        self.file.close()


def opened_upload(content: bytes, name: str) -> tuple[SourceReader, SourceFile]:
    """Return an upload as a file to read."""
    return UploadReader(content), SourceFile(path=name, size=len(content), name=name, version=UPLOADED)


def opened_source(uri: str, access: StorageAccess, stack: ExitStack) -> tuple[SourceReader, SourceFile]:
    """Open the one file that a URI names, until the stack is closed; for a worker thread.

    Raises SourceError, and BadCompaniesFileError where there are several.
    """
    source = stack.enter_context(open_source(SourceUri.parse(uri), access))
    files = source.files(COMPANY_FILES, threading.Event())
    if len(files) > 1:
        raise BadCompaniesFileError(f"there are {len(files)} files: one job scores one")
    return stack.enter_context(source.open(files[0])), files[0]
