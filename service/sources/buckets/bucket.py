"""The bucket: what is asked of an object store, in four verbs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from service.sources.buckets.failure import FailureKind, StorageFailureError


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object, as the store lists it."""

    key: str
    size: int
    """In bytes."""
    version: str
    """Generation or ETag."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    objects: tuple[StoredObject, ...]
    next_token: str | None
    """None on the last page."""


class Bucket(ABC):
    """One bucket. Its verbs run on the source's own loop, try once, and raise StorageFailureError."""

    @abstractmethod
    async def connect(self) -> None:
        """Find the credentials; called once, before anything else. Nothing is sent to the bucket."""

    @abstractmethod
    async def stat(self, key: str) -> StoredObject:
        """Describe the object `key`."""

    @abstractmethod
    async def page(self, prefix: str, token: str | None) -> Page:
        """List what begins with `prefix`, at any depth; `token` comes from the page before."""

    @abstractmethod
    async def read(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Fetch the bytes `start` to `end` (exclusive) of just this version of an object, in one request."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""


def verify_range(
    content_range: str | None, content: bytes, stored: StoredObject, start: int, end: int
) -> None:
    """Raise StorageFailureError unless an answer to a range request is what was asked for.

    An object that was replaced by one of another size shows here even where the store ignores preconditions.
    """
    total = (content_range or "").rpartition("/")[2]
    if total.isdigit() and int(total) != stored.size:
        raise StorageFailureError(FailureKind.CHANGED, "its size has changed")
    if len(content) != end - start:
        raise StorageFailureError(
            FailureKind.PASSING, f"{len(content)} bytes came where {end - start} were asked for"
        )
