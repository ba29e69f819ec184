"""The storage failure: what a client library's exception means, in this service's own terms."""

import os
from enum import StrEnum

from service.domain.errors import (
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    StorageAccessRefusedError,
    StorageUnreachableError,
)


class FailureKind(StrEnum):
    """What to do about a failure."""

    MISSING = "missing"
    """No such bucket or object."""
    REFUSED = "refused"
    """These credentials, or none, do not suffice."""
    CHANGED = "changed"
    """The object is no longer the one that was listed."""
    PASSING = "passing"
    """May be gone the next time: a broken connection, 429, 5xx."""
    BROKEN = "broken"
    """An answer that makes no sense, and will not the next time."""


class StorageFailureError(Exception):
    """Raised by buckets; `reason` is a few words that hold nothing secret."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason

    @classmethod
    def of_status(cls, status: int, code: str = "") -> "StorageFailureError":
        """Classify an HTTP status that is not a success; `code` is the storage's own name for it."""
        reason = f"HTTP {status} {code}".strip()
        if code in _REFUSALS or status in {401, 403}:
            return cls(FailureKind.REFUSED, reason)
        if status == 404:  # noqa: PLR2004 - the statuses of HTTP are names enough
            return cls(FailureKind.MISSING, reason)
        # 416: the range that was listed is no longer there.
        if status in {412, 416}:
            return cls(FailureKind.CHANGED, reason)
        if status in {408, 429} or status >= 500:  # noqa: PLR2004 - as above
            return cls(FailureKind.PASSING, reason)
        return cls(FailureKind.BROKEN, reason)

    def as_error(self, what: str, endpoint: str) -> SourceError:
        """Return the error that a person reads about `what`, such as a URI, at `endpoint`."""
        match self.kind:
            case FailureKind.MISSING:
                return SourceNotFoundError(f"{what} does not exist")
            case FailureKind.REFUSED:
                return StorageAccessRefusedError(
                    f"{endpoint} refuses access to {what} ({self.reason}); check the service's credentials"
                )
            case FailureKind.CHANGED:
                return SourceChangedError(f"{what} was replaced while it was being read; run again")
            case FailureKind.PASSING | FailureKind.BROKEN:
                return StorageUnreachableError(f"{what} cannot be read from {endpoint}: {self.reason}")


def connection_reason(error: BaseException) -> str:
    """Return why there is no connection, as the operating system says it, from an error or what caused it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            # Name resolution counts its own errors below zero, and words them itself.
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


_REFUSALS = frozenset(
    {
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "AuthorizationHeaderMalformed",
        "InvalidAccessKeyId",
    }
)
"""S3 says these with status 400."""
