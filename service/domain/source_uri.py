"""The source URI: where the rows of a run come from, as a person writes it."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

from service.domain.errors import BadSourceUriError

Scheme: TypeAlias = Literal["file", "gs", "s3"]

WILDCARDS: Final = "*?["
_LONGEST: Final = 4096
"""Characters; no path that Linux opens is longer."""
_DEEPEST: Final = 64
"""Levels of folders that a glob may spell out; each costs time in every folder that is walked."""
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]")
_QUERY: Final = re.compile(r"\?[^/?#=]*=")
_SECRET: Final = re.compile(
    r"signature|credential|token|secret|passw|access_?-?key|api_?-?key|\bsig|\bsv", re.IGNORECASE
)
_ENCODED_WILDCARD: Final = re.compile(r"%(2A|3F|5B)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SourceUri:
    """A parsed and validated source: a single file, a folder, or a glob of files.

    File URIs are percent-decoded once, as RFC 8089 has it (`%20` is a space, `%25` a percent sign, `%2A` a
    star that is no wildcard). Object keys are taken as they stand, as the cloud's own tools do. In both,
    `[*]` is a star. `.` and `..` in object keys are resolved, so that what is checked is what is read.
    """

    text: str
    """As it was written; it holds no credentials, so it may be shown."""
    scheme: Scheme
    bucket: str
    """Empty for files."""
    base: str
    """The path before any wildcard: absolute for files, a key for objects; no slash at the end."""
    segments: tuple[str, ...]
    """Of the glob below `base`, one for each level; none: `base` itself is the file or the folder."""
    is_folder: bool
    """Whether the URI ends with a slash, so that it cannot be a single file."""

    @property
    def is_glob(self) -> bool:
        """Whether the URI holds a wildcard."""
        return bool(self.segments)

    @classmethod
    def parse(cls, text: str) -> "SourceUri":
        """Read a source URI; raises BadSourceUriError, whose detail never repeats a credential."""
        # First, as all that follows takes time in proportion.
        if len(text) > _LONGEST:
            raise BadSourceUriError(f"source_uri is longer than {_LONGEST} characters")
        _refuse_unprintable(text)
        if text.lower().startswith("file:"):
            return cls._parse_file(text)
        match = _SCHEME.match(text)
        if match is None:
            raise BadSourceUriError(
                "source_uri must begin with file://, gs:// or s3://; a local path is written file:///absolute/path"
            )
        scheme = match[1].lower()
        if scheme not in {"gs", "s3"}:
            raise BadSourceUriError(f"source_uri must begin with file://, gs:// or s3://, not {scheme}://")
        return cls._parse_object(text, "gs" if scheme == "gs" else "s3", text[match.end() :])

    @classmethod
    def _parse_file(cls, text: str) -> "SourceUri":
        rest = text[len("file:") :]
        authority = rest[2:].partition("/")[0] if rest.startswith("//") else ""
        _refuse_credentials(text, authority)
        if not rest.startswith("///"):
            raise BadSourceUriError(
                "a file source is written file:///absolute/path, with three slashes and no host name"
            )
        path = rest[2:]
        literal, segments = _split(path)
        if ".." in (unquote(segment) for segment in segments):
            raise BadSourceUriError("'..' cannot follow a wildcard in source_uri")
        try:
            base = unquote(literal, errors="strict")
            globs = tuple(
                unquote(_ENCODED_WILDCARD.sub(r"[%\1]", segment), errors="strict") for segment in segments
            )
        except UnicodeDecodeError:
            raise BadSourceUriError("source_uri must be UTF-8 once its percent signs are decoded") from None
        _refuse_unprintable(base + "".join(globs))
        if any("/" in segment for segment in globs):
            raise BadSourceUriError("an encoded slash (%2F) cannot follow a wildcard in source_uri")
        return cls(text, "file", "", "/" + base.strip("/"), globs, path.endswith("/"))

    @classmethod
    def _parse_object(cls, text: str, scheme: Scheme, rest: str) -> "SourceUri":
        bucket, _, key = rest.partition("/")
        _refuse_credentials(text, bucket)
        if not _BUCKET.fullmatch(bucket):
            # The bucket is not repeated: what stands there may be half of a key and its secret.
            raise BadSourceUriError(f"source_uri names no valid bucket; it is written {scheme}://bucket/path")
        literal, segments = _split(_resolve_dots(key))
        # A folder's name may end with slashes that are part of its key; only the last one is the separator.
        base = literal.removesuffix("/")
        return cls(text, scheme, bucket, base, segments, key.endswith("/") or not key)


def _has_wildcard(text: str) -> bool:
    return any(wildcard in text for wildcard in WILDCARDS)


def _split(path: str) -> tuple[str, tuple[str, ...]]:
    """Split before the first segment with a wildcard: what is literal, and the segments of the glob."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if _has_wildcard(part):
            segments = tuple(segment for segment in parts[index:] if segment not in {"", "."})
            if len(segments) > _DEEPEST:
                raise BadSourceUriError(
                    f"source_uri has more than {_DEEPEST} levels after its first wildcard"
                )
            return "/".join(parts[:index]), segments
    return path, ()


def _resolve_dots(key: str) -> str:
    kept: list[str] = []
    for segment in key.split("/"):
        if segment == "..":
            if not kept:
                raise BadSourceUriError("source_uri leaves its bucket with '..'")
            if _has_wildcard(kept.pop()):
                raise BadSourceUriError("'..' cannot follow a wildcard in source_uri")
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept)


def _refuse_unprintable(text: str) -> None:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise BadSourceUriError("source_uri must not contain NUL, other control characters or broken UTF-8")


def _parameter_names(text: str) -> Iterator[str]:
    """Yield what stands before each `=` as the name of a parameter, as in `?name=value` or `;name=value`."""
    for part in text.split("/"):
        for name in part.split("=")[:-1]:
            _, ampersand, last = name.rpartition("&")
            yield last if ampersand else name.replace("#", "?").replace(";", "?").partition("?")[2]


def _refuse_credentials(text: str, authority: str) -> None:
    if "@" in authority or any(map(_SECRET.search, _parameter_names(text))):
        raise BadSourceUriError(
            "source_uri must not carry credentials; the service reads GCS_TOKEN or the AWS variables"
        )
    if _QUERY.search(text):
        raise BadSourceUriError("source_uri must not carry a query string (?name=value)")
