"""The allowed sources: what `ALLOWED_SOURCES` permits to be read."""

import os.path
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from service.domain.errors import BadSourceUriError, SourceNotAllowedError, SourceNotFoundError
from service.domain.source_uri import Scheme, SourceUri


@dataclass(frozen=True, slots=True)
class AllowedSources:
    """The places that may be read; None allows any place, an empty tuple none."""

    prefixes: tuple[tuple[Scheme, str], ...] | None

    @classmethod
    def parse(cls, prefixes: Sequence[str] | None) -> Self:
        """Read URI prefixes, such as `gs://bucket/exports`, or `gs://` for all; raises BadSourceUriError."""
        return cls(None if prefixes is None else tuple(map(_allowed, prefixes)))

    def check(self, uri: SourceUri) -> None:
        """Raise SourceNotAllowedError unless everything before the first wildcard lies inside a prefix."""
        if self.prefixes is not None:
            self.check_place(uri, _place(uri))

    def check_place(self, uri: SourceUri, place: str) -> None:
        """Raise SourceNotAllowedError unless `place`, one file that `uri` has led to, lies inside a prefix.

        `place` is a path whose symbolic links and `..` are resolved, or `bucket/key`.
        """
        if self.prefixes is None:
            return
        for scheme, prefix in self.prefixes:
            # A prefix ends at a path boundary: /data does not allow /database.
            if scheme == uri.scheme and (place == prefix or place.startswith(_within(prefix))):
                return
        raise SourceNotAllowedError(
            f"{uri.text} is outside of, or leads outside of, what ALLOWED_SOURCES allows to read"
        )


def real_path(uri: SourceUri, path: str) -> str:
    """Return where `path`, to which `uri` has led, is once its links are followed; `path` may be missing.

    Raises SourceNotAllowedError where a link may not be followed, and SourceNotFoundError where it cannot.
    """
    try:
        return os.path.realpath(path)
    except PermissionError as error:
        raise SourceNotAllowedError(f"{uri.text}: a link on its way may not be followed") from error
    except (OSError, RecursionError) as error:
        # A link that is replaced meanwhile; a chain of hundreds of links.
        raise SourceNotFoundError(f"{uri.text}: a link on its way leads nowhere") from error


def _allowed(prefix: str) -> tuple[Scheme, str]:
    match prefix.strip().lower():
        case "gs://":
            return "gs", ""
        case "s3://":
            return "s3", ""
    uri = SourceUri.parse(prefix)
    if uri.is_glob:
        raise BadSourceUriError("ALLOWED_SOURCES holds plain prefixes, without wildcards")
    return uri.scheme, _place(uri)


def _within(prefix: str) -> str:
    return prefix.rstrip("/") + "/" if prefix else ""


def _place(uri: SourceUri) -> str:
    if uri.scheme == "file":
        return real_path(uri, uri.base)
    return f"{uri.bucket}/{uri.base}" if uri.base else uri.bucket
