"""The source: where rows come from, one small interface over disk, Google Cloud Storage and S3."""

from service.allowed_sources import AllowedSources, check_allowed
from service.source_reader import Source, SourceFile, SourceReader
from service.source_uri import SourceUri
from service.storage_access import StorageAccess
from service.storage_local import LocalSource

__all__ = [
    "Source",
    "SourceFile",
    "SourceReader",
    "SourceUri",
    "StorageAccess",
    "check_allowed",
    "open_source",
]


def open_source(uri: SourceUri, access: StorageAccess) -> Source:
    """Open the source behind `uri`; nothing is touched before its files are asked for.

    Raises SourceNotAllowedError. Close it, or use it as a context manager.
    """
    allowed = AllowedSources.parse(access.allowed_sources)
    allowed.check(uri)
    if uri.scheme == "file":
        return LocalSource(uri, allowed)
    raise NotImplementedError(uri.scheme)
