"""What a source lists, for tests that do not stop it."""

import threading

from service.sources.parquet.file_kind import PARQUET
from service.sources.source import Source, SourceFile


def listed(source: Source) -> tuple[SourceFile, ...]:
    """List the Parquet files of a source."""
    return source.files(PARQUET, threading.Event())
