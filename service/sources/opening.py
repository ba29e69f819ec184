"""The source: where rows come from, one small interface over disk, Google Cloud Storage and S3."""

from typing import TYPE_CHECKING

from service.sources.allowed import AllowedSources, check_allowed
from service.sources.local import LocalSource
from service.sources.source import Source, SourceFile, SourceReader
from service.sources.storage_access import StorageAccess
from service.sources.uri import SourceUri

if TYPE_CHECKING:
    from service.sources.buckets.bucket import Bucket

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
    # The clients of the clouds take most of a second to import: only those pay who read from there.
    from service.sources.buckets.object_source import ObjectSource  # noqa: PLC0415 - see above

    def bucket() -> "Bucket":
        if uri.scheme == "gs":
            from service.sources.buckets.gcs import GcsBucket  # noqa: PLC0415 - see above

            return GcsBucket(uri.bucket, access)
        from service.sources.buckets.s3 import S3Bucket  # noqa: PLC0415 - see above

        return S3Bucket(uri.bucket, access)

    return ObjectSource(uri, access, allowed, bucket)
