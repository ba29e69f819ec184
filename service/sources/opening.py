"""Opening: from a source's URI to the disk or the bucket behind it."""

from typing import TYPE_CHECKING

from service.domain.errors import StorageUnreachableError
from service.domain.source_uri import SourceUri
from service.runtime.daemon_thread import run_in_daemon_thread
from service.sources.allowed import AllowedSources
from service.sources.source import Source, StorageAccess

if TYPE_CHECKING:
    from service.sources.buckets.bucket import Bucket


async def check_allowed(uri: SourceUri, access: StorageAccess) -> None:
    """Check, for a door, that `uri` lies inside `ALLOWED_SOURCES`; whatever it leads to is checked again.

    Raises SourceNotAllowedError, and StorageUnreachableError when a disk does not answer in time.
    """
    if access.allowed_sources is None:
        return

    def check() -> None:
        AllowedSources.parse(access.allowed_sources).check(uri)

    try:
        # In a thread, because a path's links are resolved.
        await run_in_daemon_thread(check, timeout_s=access.timeout_s)
    except TimeoutError:
        raise StorageUnreachableError(f"{uri.text}: no answer within {access.timeout_s:g} s") from None


def open_source(uri: SourceUri, access: StorageAccess) -> Source:
    """Open the source behind `uri`; nothing is touched before its files are asked for.

    Close it, or use it as a context manager.
    """
    # Whoever reads from a storage loads its client: those of the clouds take most of a second.
    if uri.scheme == "file":
        from service.sources.local import LocalSource  # noqa: PLC0415 - see above

        return LocalSource(uri, access)
    from service.sources.buckets.object_source import ObjectSource  # noqa: PLC0415 - see above

    def bucket() -> "Bucket":
        if uri.scheme == "gs":
            from service.sources.buckets.gcs import GcsBucket  # noqa: PLC0415 - see above

            return GcsBucket(uri.bucket, access)
        from service.sources.buckets.s3 import S3Bucket  # noqa: PLC0415 - see above

        return S3Bucket(uri.bucket, access)

    return ObjectSource(uri, access, bucket)
